"""Table 1: the best 5-grams for the paper's own neurons as far as the model has them, and for neurons that a rule selects."""

from collections.abc import Sequence

from optigram.papers.poerner2018.recipe import MODERN, TABLE1
from optigram.report.formats import Grid
from optigram.runs.records import Record
from optigram.study.statistics import BASELINE, activations, grouped, site_of

_SHOWN = {"visual": 2, "language": 3}
_BEST = "gbl"
RULE = (
    'First the neurons of the paper\'s Table 1: the words "umbrella", "windshield" and "left" of the language path, and the object classes '
    'nearest to its two visual neurons, whose 5-grams name pizzas and planes. "crp+coordinate" is auto. Then neurons of each path at '
    "equally spaced quantiles of the ratio of gbl to crp: two visual and three language neurons. Of several seeds the best text is shown. "
    "Activations are in the model's own units; compare them within a neuron only. In the paper's table, of another model, language neurons "
    "have 10 to 18 and visual neurons 31 to 64."
)


def page(records: Sequence[Record]) -> str:
    """The table as Markdown."""
    return grid(records).markdown()


def grid(records: Sequence[Record]) -> Grid:
    """Rows of each neuron: one per method."""
    named = [record for record in records if record.arm == TABLE1]
    modern = [record for record in records if record.arm == MODERN and record.method in (BASELINE, _BEST)]
    ruled = {
        target for site, count in _SHOWN.items() for target in _quantiles([one for one in modern if site_of(one.target) == site], count)
    }
    rows, groups = [], set()
    for part in (named, [record for record in modern if record.target in ruled]):
        for target, group in sorted(grouped(part, lambda record: record.target).items(), key=lambda item: _place(item[0])):
            groups.add(len(rows))
            for method, found in grouped(group, lambda record: record.method).items():
                best = max(found, key=lambda record: record.activation)
                rows.append([method, _text(best), target, f"{best.activation:.2f}"])
    return Grid(("method", "optimal 5-gram", "neuron", "activation"), rows, frozenset({3}), frozenset(groups), RULE)


def _place(target: str) -> int:
    return list(_SHOWN).index(site_of(target))


def _quantiles(records: Sequence[Record], count: int) -> list[str]:
    """The `count` targets at equally spaced quantiles of the ratio; ties are sorted by name."""
    found, base = activations(records, _BEST), activations(records, BASELINE)
    ratios = sorted((found[target] / base[target], target) for target in found if base.get(target, 0) > 0)
    return [ratios[len(ratios) * (i + 1) // (count + 1)][1] for i in range(count)] if ratios else []


def _text(record: Record) -> str:
    """The 5-gram, followed for a language neuron by the word it predicts in brackets, as in the paper."""
    site, name = record.target.split(":", 1)
    return f"{record.text} [{name}]" if site == "language" else record.text
