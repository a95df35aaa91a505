"""Tables of a study: what it will cost, and every method against corpus search."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from optigram.report.formats import Grid
from optigram.runs.records import Record
from optigram.study.statistics import Interval, compare, cosine, site_of, soft_gap

if TYPE_CHECKING:
    from optigram.study.estimate import Row


def methods_grid(records: Sequence[Record]) -> Grid:
    """Every method of every arm against corpus search, its cost, its soft-to-hard gap and emb's cosine."""
    rows = []
    for one in compare(records):
        here = [record for record in records if record.arm == one.arm and site_of(record) == one.site]
        near = cosine(here, one.method)
        rows.append(
            [
                one.arm,
                one.site,
                one.method,
                show(one.ratio),
                show(one.wins, percent=True),
                show(soft_gap(here, one.method)),
                show(near) if near.value == near.value else "",
                f"{one.forwards:,.0f}",
                str(one.neurons),
            ]
        )
    header = ("settings", "path", "method", "median / crp", "beats crp", "soft-to-hard gap", "cosine", "f.e. a neuron", "neurons")
    return Grid(header, rows, frozenset({3, 4, 5, 6, 7, 8}))


def plan_grid(rows: "Sequence[Row]", workers: int) -> Grid:
    """What is still to do: cells, targets, cost and time of each method of each arm, and of all."""
    processes = max(workers, 1)
    cells = [
        [
            row.arm,
            row.method,
            str(row.cells),
            str(row.targets),
            f"{row.forwards:,.0f}",
            f"{row.forwards * row.targets:,.0f}",
            duration(row.seconds / processes),
        ]
        for row in rows
    ]
    whole = sum(row.forwards * row.targets for row in rows)
    seconds = sum(row.seconds for row in rows) / processes
    cells.append(["all", "", str(sum(row.cells for row in rows)), "", "", f"{whole:,.0f}", duration(seconds)])
    header = ("arm", "method", "cells", "targets", "f.e. a target, at most", "f.e. in all", f"time on {processes}")
    return Grid(header, cells, frozenset(range(2, 7)), frozenset({len(rows)}))


def duration(seconds: float) -> str:
    """Seconds as a person says them: "40 s", "12 min", "3.5 h", "20 days"."""
    for unit, size, most in (("s", 1, 90), ("min", 60, 90), ("h", 3600, 48)):
        if seconds / size < most:
            return f"{seconds / size:.1f} {unit}" if unit == "h" else f"{seconds / size:.0f} {unit}"
    return f"{seconds / 86400:.0f} days"


def show(interval: Interval, percent: bool = False) -> str:
    """ "1.18 [1.15, 1.20]"."""
    if interval.value != interval.value:
        return "-"
    value, low, high = (f"{number:.0%}" if percent else f"{number:.2f}" for number in interval)
    return f"{value} [{low}, {high}]"
