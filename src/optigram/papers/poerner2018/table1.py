"""Table 1 of the paper: method, optimal 5-gram, neuron, activation. Its rows are chosen by a rule, not by hand.

The rule: of a path's neurons sorted by the ratio of gbl to crp, those at the quartiles (the paper shows three language
neurons and two visual ones: quartiles 1, 2, 3 and thirds 1, 2). So the table shows a poor, a middling and a good case.
"""

from collections.abc import Sequence

from optigram.report.formats import Grid
from optigram.runs.records import Record
from optigram.study.statistics import BASELINE, activations, site_of

SHOWN = {"visual": 2, "language": 3}
BEST = "gbl"
RULE = (
    "Of the neurons of each path, sorted by the ratio of gbl to crp, those that part them into equal groups: two visual and three "
    "language ones. Activations are in the model's own units and can be compared within a row pair only."
)


def table1(records: Sequence[Record], arm: str) -> Grid:
    """Rows of crp and gbl for the neurons that the rule picks."""
    chosen = [record for record in records if record.arm == arm and record.rank == 1 and record.method in (BASELINE, BEST)]
    rows, groups = [], set()
    for site, count in SHOWN.items():
        here = [record for record in chosen if site_of(record) == site]
        for target in _quantiles(here, count):
            groups.add(len(rows))
            pair = {record.method: record for record in here if record.target == target}
            rows += [[method, _text(pair[method], site), target, f"{pair[method].activation:.2f}"] for method in (BASELINE, BEST)]
    return Grid(("method", "optimal 5-gram", "neuron", "activation"), rows, frozenset({3}), frozenset(groups), RULE)


def _quantiles(records: Sequence[Record], count: int) -> list[str]:
    """The `count` targets that part all, sorted by ratio, into groups of equal size; of equals the first by name."""
    found, base = activations(records, BEST), activations(records, BASELINE)
    ratios = sorted((found[target] / base[target], target) for target in found if base.get(target, 0) > 0)
    return [ratios[len(ratios) * (i + 1) // (count + 1)][1] for i in range(count)] if ratios else []


def _text(record: Record, site: str) -> str:
    """The 5-gram; for a language neuron with the word it predicts in brackets, as in the paper."""
    return f"{record.text} [{record.target.split(':', 1)[1]}]" if site == "language" else record.text
