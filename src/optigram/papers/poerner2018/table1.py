"""Table 1 of the paper: method, optimal 5-gram, neuron, activation; rows are chosen by a rule, not by hand.

The neurons of a path are sorted by the ratio of gbl to crp; shown are those at the quantiles. The paper shows three language
neurons and two visual ones, hence quartiles 1, 2, 3 and terciles 1, 2: a poor, a middling and a good case.
"""

from collections.abc import Sequence

from optigram.report.formats import Grid
from optigram.runs.records import Record
from optigram.study.statistics import BASELINE, activations, site_of

SHOWN = {"visual": 2, "language": 3}
BEST = "gbl"
RULE = (
    "Neurons of each path at equally spaced quantiles of the ratio of gbl to crp: two visual and three language neurons. "
    "Activations are in the model's own units; compare them within a pair of rows only."
)


def table1(records: Sequence[Record], arm: str) -> Grid:
    """Rows of crp and gbl for the neurons that the rule selects."""
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
    """The `count` targets at equally spaced quantiles of the ratio; ties are sorted by name."""
    found, base = activations(records, BEST), activations(records, BASELINE)
    ratios = sorted((found[target] / base[target], target) for target in found if base.get(target, 0) > 0)
    return [ratios[len(ratios) * (i + 1) // (count + 1)][1] for i in range(count)] if ratios else []


def _text(record: Record, site: str) -> str:
    """The 5-gram, followed for a language neuron by the word it predicts in brackets, as in the paper."""
    return f"{record.text} [{record.target.split(':', 1)[1]}]" if site == "language" else record.text
