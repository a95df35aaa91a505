"""Tables of a study: its expected cost, and every method against corpus search."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from optigram.report.formats import Grid
from optigram.runs.records import Record
from optigram.study.statistics import Comparison, Interval, site_of

if TYPE_CHECKING:
    from optigram.study.estimate import Row


def methods_grid(records: Sequence[Record]) -> Grid:
    """Every method of every arm against corpus search, with its cost, its soft-to-hard gap and the cosine of emb."""
    rows = []
    for one in Comparison.all_of(records):
        here = [record for record in records if record.arm == one.arm and site_of(record.target) == one.site]
        cosines = [record.notes["cosine"] for record in here if record.method == one.method and "cosine" in record.notes]
        rows.append(
            [
                one.arm,
                one.site,
                one.method,
                one.show_ratio(),
                one.show_wins(),
                Comparison.soft_gap(here, one.method).show(),
                Interval.median(cosines).show() if cosines else "",
                f"{one.forwards:,.0f}",
                str(one.neurons),
                one.show_seeds(),
            ]
        )
    header = (
        "settings",
        "path",
        "method",
        "median / crp",
        "beats crp",
        "soft-to-hard gap at the end",
        "cosine",
        "forward-equivalents per neuron",
        "neurons",
        "seeds",
    )
    return Grid(header, rows, frozenset(range(3, 10)))


def plan_grid(rows: "Sequence[Row]", workers: int) -> Grid:
    """What is still to do: cells, targets, cost and time of each method of each arm, and in all."""
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
    header = ("arm", "method", "cells", "targets", "forward-equivalents per target, at most", "in all", f"time on {processes}")
    return Grid(header, cells, frozenset(range(2, 7)), frozenset({len(rows)}))


def duration(seconds: float) -> str:
    """Seconds in a readable unit: "40 s", "12 min", "3.5 h", "20 days"."""
    for unit, size, most in (("s", 1, 90), ("min", 60, 90), ("h", 3600, 48)):
        if seconds / size < most:
            return f"{seconds / size:.1f} {unit}" if unit == "h" else f"{seconds / size:.0f} {unit}"
    return f"{seconds / 86400:.0f} days"
