"""Tables and plots of results, and the pages of the documentation that include them between markers.

A page asks for a block by `<!-- benchmark: NAME KEY=VALUE ... -->` and ends it with `<!-- end -->`. Keys pick rows by their
settings; `rows`, `columns`, `metrics` and `sort` shape the table, and `plot=FILE.svg` draws one instead.
"""

import functools
import io
import itertools
import re
import shlex
import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from benchmarks import results
from benchmarks.case import Case, Metric
from benchmarks.registry import named
from benchmarks.results import Row
from benchmarks.setup import SEEDS
from optigram.errors import InputError
from optigram.files import written_whole
from optigram.report.figures import LINES
from optigram.study.statistics import grouped

DOCS = results.ROOT.parent / "docs"
MARKER = re.compile(r"(<!-- benchmark: (.+?) -->\n)(.*?)(<!-- end -->)", re.DOTALL)
SHAPES = ("rows", "columns", "metrics", "sort", "plot")
Cells = dict[tuple, dict[tuple, Row]]  # by row key, then by column key


@dataclass(frozen=True)
class Block:
    """What a table or plot shows: rows with the settings `wanted`, in the case's shape or in another."""

    name: str
    wanted: Mapping[str, str] = field(default_factory=dict)
    shape: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def parse(cls, name: str, words: Sequence[str]) -> "Block":
        """Read words of the form KEY=VALUE. Raises InputError for others."""
        if wrong := [word for word in words if "=" not in word]:
            raise InputError(f"expected KEY=VALUE, got {wrong[0]!r}")
        pairs = [(key, value) for key, _, value in (word.partition("=") for word in words)]
        shape = {key: tuple(filter(None, value.split(","))) for key, value in pairs if key in SHAPES}
        return cls(name, {key: value for key, value in pairs if key not in SHAPES}, shape)

    def of(self, case: Case) -> Case:
        """The case in the shape that is asked for."""
        changed: dict[str, Any] = {key: self.shape[key] for key in ("rows", "columns") if key in self.shape}
        if "metrics" in self.shape:
            by_name = {metric.name: metric for metric in case.metrics}
            if unknown := [name for name in self.shape["metrics"] if name not in by_name]:
                raise InputError(f"unknown metric {unknown[0]!r} of {case.name}; expected one of {', '.join(by_name)}")
            changed["metrics"] = tuple(by_name[name] for name in self.shape["metrics"])
        if "sort" in self.shape:
            changed["sort"] = next(iter(self.shape["sort"]), None)
        return replace(case, **changed)


def table(case: Case, block: Block, path: Path) -> str:
    """The rows as Markdown: a table for each group of equal further settings, with the settings and commits above it."""
    shaped = block.of(case)
    return "\n\n".join(_table(shaped, block, group) for group in _groups(shaped, block, path))


def table_of(case: Case, rows: Sequence[Row]) -> str:
    """Rows that are at hand as Markdown, in the case's own shape."""
    groups = grouped(rows, lambda row: tuple((key, str(value)) for key, value in _further(case, row))).values()
    return "\n\n".join(_table(case, Block(case.name), group) for group in groups)


def _groups(case: Case, block: Block, path: Path) -> Iterator[list[Row]]:
    """The rows that are wanted, grouped by what neither the rows nor the columns of a table tell."""
    rows = case.derive([row for row in results.latest(results.read(path)) if row.case == case.name])
    rows = [row for row in rows if all(_told(row.settings.get(key, "")) in (value, _plain(value)) for key, value in block.wanted.items())]
    if not rows:
        raise InputError(f"no results of {case.name} in {path.name}; measure with: python -m benchmarks run {case.name}")
    seeds = grouped(rows, lambda row: tuple(sorted((key, str(value)) for key, value in row.settings.items())))
    merged = [_over_seeds(same) for same in seeds.values()]
    yield from grouped(merged, lambda row: tuple((key, str(value)) for key, value in _further(case, row))).values()


def _further(case: Case, row: Row) -> list[tuple[str, Any]]:
    return sorted((key, value) for key, value in row.settings.items() if key not in (*case.rows, *case.columns, SEEDS))


def _over_seeds(rows: Sequence[Row]) -> Row:
    """One row with the median of each metric over the seeds."""
    if len(rows) == 1:
        return rows[0]
    metrics: dict[str, Any] = {}
    for name, first in rows[0].metrics.items():
        values = [row.metrics[name] for row in rows if row.metrics.get(name) is not None]
        if isinstance(first, list):
            metrics[name] = [statistics.median(parts) for parts in zip(*values, strict=True)]
        else:
            metrics[name] = first if isinstance(first, str) or not values else statistics.median(values)
    return replace(rows[0], metrics=metrics, settings={**rows[0].settings, SEEDS: len(rows)})


def _cells(case: Case, rows: Iterable[Row]) -> tuple[Cells, list[tuple]]:
    cells: Cells = {}
    for row in rows:
        keys = (tuple(row.settings.get(name, "") for name in names) for names in (case.rows, case.columns))
        cells.setdefault(next(keys), {})[next(keys)] = row
    columns = list(dict.fromkeys(column for each in cells.values() for column in each))
    if all(isinstance(part, int | float) for column in columns for part in column):
        columns.sort()
    if case.sort is not None:
        cells = dict(sorted(cells.items(), key=lambda item: -_rank(item[1], columns, case.sort or "")))
    return cells, columns


def _rank(cells: Mapping[tuple, Row], columns: Sequence[tuple], metric: str) -> float:
    """What a row of the table is sorted by: its metric in the last column that all rows may have, whole values before others."""
    values = [cells[column].metrics.get(metric) for column in columns if column in cells]
    known = [value[0] if isinstance(value, list) else value for value in values if isinstance(value, int | float | list)]
    return known[-1] if known else float("-inf")


def _table(case: Case, block: Block, rows: Sequence[Row]) -> str:
    cells, columns = _cells(case, rows)
    used = [metric for metric in case.metrics if any(row.metrics.get(metric.name) is not None for row in rows)]
    spread = [(column, metric) for column, metric in itertools.product(columns, used) if not metric.single]
    single = [metric for metric in used if metric.single]
    heads = [*case.rows, *(_heading(column, metric) for column, metric in spread), *(metric.heading for metric in single)]
    lines = [f"| {' | '.join(heads)} |", f"|{'---|' * len(case.rows)}{'---:|' * (len(heads) - len(case.rows))}"]
    for key, row in cells.items():
        values = [metric.told(row[column].metrics.get(metric.name)) if column in row else "" for column, metric in spread]
        for metric in single:
            found = [row[column].metrics.get(metric.name) for column in columns if column in row]
            values.append(metric.told(next((value for value in reversed(found) if value is not None), None)))
        lines.append(f"| {' | '.join([*map(_told, key), *values])} |")
    return f"{_caption(case, block, rows)}\n\n" + "\n".join(lines)


def _heading(column: tuple, metric: Metric) -> str:
    return ": ".join([*([", ".join(map(_told, column))] if column else []), metric.heading])


def _caption(case: Case, block: Block, rows: Sequence[Row]) -> str:
    further = [f"{key} {_told(value)}" for key, value in _further(case, rows[0]) if key not in block.wanted]
    seeds = max(row.settings.get(SEEDS, 1) for row in rows)
    further += [f"median of {seeds} seeds"] if seeds > 1 else []
    measured = sorted({f"{row.commit}, {row.when}" for row in rows})
    machines = sorted({f"{row.machine['cpu']}, torch {row.machine['torch']}" for row in rows if "cpu" in row.machine})
    return f"*{'; '.join([*further, *machines, 'commit ' + ' and '.join(measured)])}*"


def _told(value: Any) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f"{value:,.0f}" if float(value).is_integer() else f"{value:g}"
    return str(value)


def _plain(value: str) -> str:
    """A number as it is told, whether it was typed with separators or without."""
    return _told(float(value)) if re.fullmatch(r"\d+(\.\d+)?", value) else value


def plot(case: Case, block: Block, path: Path) -> str:
    """The first metric against the budget as SVG: a panel per group, a line per row of the table."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    shaped = block.of(case)
    metric, groups = shaped.metrics[0], list(_groups(shaped, block, path))
    figure = Figure(figsize=(1.5 + 4.6 * len(groups), 4.2), layout="constrained")
    for panel, rows in zip(figure.subplots(1, len(groups), squeeze=False)[0], groups, strict=True):
        cells, columns = _cells(shaped, rows)
        for number, (key, row) in enumerate(cells.items()):
            values = {column[0]: row[column].metrics.get(metric.name) for column in columns if column in row}
            points = {at: value[0] if isinstance(value, list) else value for at, value in values.items() if value is not None}
            style = {"linestyle": LINES[number % len(LINES)], "color": f"C{number % 10}"}
            if len(points) > 1:
                panel.plot([*points], [*points.values()], marker=".", label=", ".join(map(_told, key)), **style)
        panel.set(xscale="log", xlabel="forward-equivalents per neuron", title=_title(shaped, block, rows))
        panel.spines[["top", "right"]].set_visible(False)
    figure.axes[0].set_ylabel(f"{metric.heading} (median neuron)")
    figure.legend(*figure.axes[-1].get_legend_handles_labels(), frameon=False, fontsize=8, loc="outside right center")
    drawn = io.StringIO()
    with rc_context({"svg.hashsalt": case.name}):
        figure.savefig(drawn, format="svg", metadata={"Date": None})
    return drawn.getvalue()


def _title(case: Case, block: Block, rows: Sequence[Row]) -> str:
    return next((str(value) for key, value in _further(case, rows[0]) if key == "site"), block.wanted.get("site", case.name))


def rewrite_docs(path: Path, docs: Path = DOCS) -> list[Path]:
    """Fill the blocks of every page from the results; return the pages that changed."""
    changed = []
    for page in sorted(docs.glob("**/*.md")):
        before = page.read_text(encoding="utf-8")
        after = MARKER.sub(functools.partial(_filled, path, page.parent), before)
        if after != before:
            with written_whole(page) as temporary:
                temporary.write_text(after, encoding="utf-8")
            changed.append(page)
    return changed


def _filled(path: Path, folder: Path, found: re.Match[str]) -> str:
    """A block with its content: a table, or a link to the plot that is drawn."""
    name, *rest = shlex.split(found[2])
    (case,), block = named(name), Block.parse(name, rest)
    if "plot" not in block.shape:
        return f"{found[1]}\n{table(case, block, path)}\n\n{found[4]}"
    (file,) = block.shape["plot"]
    with written_whole(folder / file) as temporary:
        temporary.write_text(plot(case, block, path), encoding="utf-8")
    return f"{found[1]}\n![{case.description}]({file})\n\n{found[4]}"
