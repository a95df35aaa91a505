"""The claims about corpus search in larger corpora: at the sizes that were searched, and at the paper's, extrapolated."""

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from optigram.papers.poerner2018.claims import FEW, SIDES, label_of, verdict
from optigram.papers.poerner2018.growth import PAPER, Growth
from optigram.papers.poerner2018.recipe import MODERN, PATHS, WHOLE
from optigram.report import figures
from optigram.report.formats import Grid
from optigram.runs.records import Record
from optigram.study.statistics import BASELINE, Comparison, Interval, activations, site_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHOWN = (-3, -1)  # parts of the captions in the table
COLUMNS, HEIGHT = (0.03, 0.36, 0.69), 0.045  # where names begin and how high they are, as shares of the panel
FALLS, RISES = "undecided: it falls with the corpus", "undecided: it comes with the corpus"


@dataclass(frozen=True)
class Larger:
    """One method against corpus search in corpora of several sizes; `claimed` is the side of zero that the paper claims."""

    arm: str
    site: str
    method: str
    claimed: str
    sizes: Sequence[int]
    compared: Sequence[Comparison]

    @property
    def claim(self) -> str:
        """The claim in words."""
        return f"{label_of(self.method)} is {self.claimed} crp"

    @property
    def overall(self) -> str:
        """The verdict that holds at all sizes; else that it changes with the corpus."""
        found = list(dict.fromkeys(verdict(one, self.claimed) for one in self.compared))
        if len(found) == 1 or FEW in found:
            return found[0] if len(found) == 1 else FEW
        return FALLS if self.compared[0].difference.value > self.compared[-1].difference.value else RISES

    @classmethod
    def all_of(cls, records: Sequence[Record], growth: Growth) -> "list[Larger]":
        """The methods of the modern arm and those of full length, with p values corrected as one family."""
        made = []
        sizes = [*(growth.sizes[part] for part in SHOWN), PAPER]
        for arm in (MODERN, WHOLE):
            for site in PATHS:
                targets, levels = growth.levels(site)
                bases = [dict(zip(targets, levels[part].tolist(), strict=True)) for part in SHOWN] + [growth.extrapolated(site)]
                here = [record for record in records if record.arm == arm and site_of(record.target) == site]
                for method in dict.fromkeys(record.method for record in here if label_of(record.method) in SIDES):
                    ours = [record for record in here if record.method == method and record.target in bases[0]]
                    found = [Comparison.of([*ours, *_as_records(ours, base)], method, BASELINE) for base in bases]
                    made.append(cls(arm, site, method, SIDES[label_of(method)], sizes, found))
        corrected = Comparison.with_holm([one for row in made for one in row.compared])
        count = len(sizes)
        return [dataclasses.replace(row, compared=corrected[i * count : (i + 1) * count]) for i, row in enumerate(made)]


def _as_records(ours: Sequence[Record], base: dict[str, float]) -> list[Record]:
    """The levels of a corpus as records of corpus search, for the targets of a method."""
    once = {record.target: record for record in ours}
    return [dataclasses.replace(one, method=BASELINE, activation=base[target], seed=0) for target, one in once.items()]


def section(records: Sequence[Record], growth: Growth) -> list[str]:
    """The claims about corpus search in larger corpora, as lines of Markdown."""
    largest = growth.sizes[-1]
    return [
        "## Corpus search in larger corpora\n",
        f"Corpus search over nested random parts of {growth.corpus} ({growth.ngrams:,} different 5-grams; {growth.unknown:,} of "
        f"{growth.windows:,} windows hold a word that the model does not know, and are left out), {len(growth.best)} random orders. The "
        f"paper's corpus has {PAPER:,} captions, {np.log2(PAPER / largest):.1f} doublings more; its levels are extrapolated, per neuron, "
        "along a straight line over the logarithm of the size, fitted to the four largest parts. As far as the rise of a doubling falls "
        "with the size, the line gives corpus search too much.\n",
        "![Corpus search over the size of the corpus, and the levels of the methods](corpus-size.svg)\n",
        _growth_grid(growth).markdown(),
        "Every method against corpus search at three sizes (median difference and its verdict):\n",
        _grid(Larger.all_of(records, growth)).markdown(),
    ]


def _growth_grid(growth: Growth) -> Grid:
    rows = []
    for site in PATHS:
        targets, levels = growth.levels(site)
        risen = levels[1:] / np.where(levels[:-1] > 0, levels[:-1], np.nan) - 1
        doubled = [[100 * value for value in row[np.isfinite(row)]] for row in risen]
        far = np.array(list(growth.extrapolated(site).values()))
        up = far[levels[-1] > 0] / levels[-1][levels[-1] > 0]
        cells = [Interval.median(row).show() for row in doubled[-3:]]
        rows.append([site, str(len(targets)), *cells, Interval.median(up).show()])
    parts = [f"{before:,} to {after:,}" for before, after in zip(growth.sizes[-4:-1], growth.sizes[-3:], strict=True)]
    header = ("path", "neurons", *(f"% more, {part}" for part in parts), f"extrapolated to {PAPER:,} / {growth.sizes[-1]:,}")
    return Grid(header, rows, frozenset(range(1, 6)))


def _grid(found: Sequence[Larger]) -> Grid:
    rows = []
    for row in found:
        cells = [f"{one.difference.show()} {verdict(one, row.claimed)}" for one in row.compared]
        neurons = {one.neurons for one in row.compared}
        rows.append([row.claim, row.site, row.method, *cells, row.overall, str(min(neurons)), row.compared[0].show_seeds()])
    sizes = found[0].sizes if found else ()
    header = ("claim", "path", "method", *(f"{size:,} captions" for size in sizes), "in all", "neurons", "seeds")
    return Grid(header, rows, frozenset({len(header) - 2, len(header) - 1}))


def figure(records: Sequence[Record], growth: Growth, titles: dict[str, str]) -> "Figure":
    """Per path: corpus search over the number of captions, extrapolated to the paper's, and every method's level as a line.

    The unit is each neuron's best n-gram of all captions; lines are medians over the neurons that have both.
    """
    drawn, axes = figures.panels(len(titles))
    for panel, (site, title) in zip(axes, titles.items(), strict=True):
        targets, levels = growth.levels(site)
        kept = levels[-1] > 0
        panel.set_title(f"{title} ({int(kept.sum())} neurons)")
        if not kept.any():
            continue
        shares = levels[:, kept] / levels[-1, kept]
        far = np.array([growth.extrapolated(site)[target] for target, use in zip(targets, kept, strict=True) if use]) / levels[-1, kept]
        low, middle, high = (np.array(part) for part in zip(*(_interval(row) for row in [*shares, far]), strict=True))
        sizes = [*growth.sizes, PAPER]
        panel.plot(sizes[:-1], middle[:-1], color="black", label=BASELINE)
        panel.plot(sizes[-2:], middle[-2:], color="black", linestyle=":")
        panel.fill_between(sizes, low, high, color="black", alpha=0.12, linewidth=0)
        base = dict(zip(targets, levels[-1].tolist(), strict=True))
        here = [record for record in records if site_of(record.target) == site and record.arm in (MODERN, WHOLE)]
        ratios = {}
        for number, method in enumerate(dict.fromkeys(record.method for record in here if record.method != BASELINE)):
            middle_ratio = Interval.median(
                [value / base[one] for one, value in activations(here, method).items() if base.get(one, 0) > 0]
            ).value
            if np.isfinite(middle_ratio):
                panel.axhline(middle_ratio, color="grey", linewidth=1, linestyle=figures.LINES[number % len(figures.LINES)])
                ratios[method] = middle_ratio
        for method, level, column in _spread(ratios, HEIGHT * float(np.ptp(panel.get_ylim()))):
            panel.annotate(method, (column, level), xycoords=panel.get_yaxis_transform(), fontsize=7, va="bottom")
        panel.set_xscale("log")
        panel.set_xlabel("captions of the corpus; dotted: extrapolated")
    axes[0].set_ylabel(f"activation / best of {growth.sizes[-1]:,} captions")
    return drawn


def _spread(levels: dict[str, float], height: float) -> Iterator[tuple[str, float, float]]:
    """Names with their levels, lowest first, and the column (a share of the width) in which each lies clear of the names below it."""
    tops = dict.fromkeys(COLUMNS, -np.inf)
    for name, level in sorted(levels.items(), key=lambda item: item[1]):
        column = next((column for column in COLUMNS if level >= tops[column]), min(COLUMNS, key=tops.__getitem__))
        tops[column] = level + height
        yield name, level, column


def _interval(values: np.ndarray) -> tuple[float, float, float]:
    """The ends of the interval of a median, with the median between them."""
    found = Interval.median(values)
    return found.low, found.value, found.high
