"""How methods stand, from records alone: tables and a plot of what they found, against corpus search and the best known."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from optigram.report.figures import LINES
from optigram.runs.records import Record
from optigram.study import statistics
from optigram.study.statistics import Interval

BASELINE = "crp"
FIRST = 100.0  # forward-equivalents at which the area under a curve begins
Known = Mapping[str, tuple[str, float]]


def best_known(records: Sequence[Record]) -> Known:
    """The best text of every neuron over all records, and its activation."""
    known: dict[str, tuple[str, float]] = {}
    for record in sorted(records, key=lambda record: (-record.activation, record.text)):
        known.setdefault(record.target, (record.text, record.activation))
    return known


def tables(records: Sequence[Record], known: Known) -> Iterator[str]:
    """A Markdown table a site: a row a method, for each budget what it found; the best at its largest budget first."""
    for site, here in statistics.grouped(records, statistics.site_of).items():
        base = statistics.activations(here, BASELINE)
        cost = next(record.forwards for record in here if record.method == BASELINE)
        runs = statistics.grouped([record for record in here if record.arm], lambda record: (record.method, int(record.arm)))
        budgets = sorted({budget for _, budget in runs})
        last = {method: runs[method, budget] for budget in budgets for method, its in runs if its == budget}
        methods = sorted(last, key=lambda method: -_share(last[method], known).value)
        yield "\n".join(
            [
                f"{site}: {len(base)} neurons; corpus search {cost:,.0f} forward-equivalents, once for all\n",
                f"| method | {' | '.join(f'{budget:,}: / best known' + ' | / corpus, won' for budget in budgets)} | area | soft gap | s |",
                f"|---|{'---|---|' * len(budgets)}---:|---:|---:|",
                *(_row(method, [runs.get((method, budget), []) for budget in budgets], base, known) for method in methods),
            ]
        )


def _row(method: str, runs: Sequence[Sequence[Record]], base: Mapping[str, float], known: Known) -> str:
    """Of each budget the median share of the best known and of the corpus's best, and the neurons won; of the largest the rest."""
    cells = []
    for rows in runs:
        ratios = [row.activation / base[row.target] for row in rows if base[row.target] > 0]
        won = statistics.share(sum(row.activation > base[row.target] for row in rows), len(rows))
        cells += [_told(_share(rows, known)), f"{np.median(ratios):.3f}, {won.value:.0%} [{won.low:.0%}]"] if rows else ["", ""]
    last = next(rows for rows in reversed(runs) if rows)
    gap = statistics.soft_gap(last, method).value
    cells.append(f"{np.median([area(row, known) for row in last if known[row.target][1] > 0]):.3f}")
    cells += ["" if np.isnan(gap) else f"{gap:.2f}", f"{np.mean([row.seconds for row in last]):.1f}"]
    return f"| {method} | {' | '.join(cells)} |"


def _share(rows: Sequence[Record], known: Known) -> Interval:
    return statistics.median([row.activation / known[row.target][1] for row in rows if known[row.target][1] > 0])


def area(record: Record, known: Known) -> float:
    """The mean of best-so-far over best known, along the logarithm of the cost from `FIRST` to what was spent; 0 before the first text."""
    trace = np.asarray(record.trace, dtype=float)
    spent, value = np.maximum(trace[:, 0], FIRST), np.maximum(trace[:, 1], 0) / known[record.target][1]
    steps = np.diff(np.log(spent), append=np.log(spent[-1]))
    whole = np.log(spent[-1]) - np.log(FIRST)
    return float((steps * value).sum() / whole) if whole > 0 else float(value[-1])


def _told(interval: Interval) -> str:
    return f"{interval.value:.3f} [{interval.low:.3f}, {interval.high:.3f}]"


def plot(records: Sequence[Record], known: Known, path: Path) -> None:
    """A panel a site: the median share of the best known against the budget, a line a method."""
    from matplotlib.figure import Figure

    sites = statistics.grouped([record for record in records if record.arm], statistics.site_of)
    figure = Figure(figsize=(1.5 + 4.6 * len(sites), 4.2), layout="constrained")
    for panel, (site, here) in zip(figure.subplots(1, len(sites), squeeze=False)[0], sites.items(), strict=True):
        for number, (method, rows) in enumerate(statistics.grouped(here, lambda record: record.method).items()):
            budgets = statistics.grouped(rows, lambda record: int(record.arm))
            middle = {
                budget: np.median([row.activation / known[row.target][1] for row in some if known[row.target][1] > 0])
                for budget, some in sorted(budgets.items())
            }
            if len(middle) > 1:
                panel.plot(
                    [*middle], [*middle.values()], marker=".", linestyle=LINES[number % len(LINES)], label=method, color=f"C{number % 10}"
                )
        base = statistics.activations([record for record in records if statistics.site_of(record) == site], BASELINE)
        level = np.median([base[target] / known[target][1] for target in base if known[target][1] > 0])
        panel.axhline(float(level), color="grey", linewidth=0.8)
        panel.annotate("corpus search", (0.02, float(level)), xycoords=("axes fraction", "data"), va="bottom", fontsize=8, color="grey")
        panel.set(xscale="log", xlabel="forward-equivalents a neuron", title=site)
        panel.spines[["top", "right"]].set_visible(False)
    figure.axes[0].set_ylabel("activation / best known (median neuron)")
    figure.legend(*figure.axes[-1].get_legend_handles_labels(), frameon=False, fontsize=8, loc="outside right center")
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)
