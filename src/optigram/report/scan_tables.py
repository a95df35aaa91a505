"""Tables of a scan's places, and the curve of the best activation against the size of the corpus."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.table import Table
from rich.text import Text

from optigram.report.colours import INK, lit
from optigram.report.escape import Word
from optigram.runs.records import Record
from optigram.scanning.results import ScanFolder, ScanTables

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ROWS, WIDTH = 40, 60  # targets in a table; characters before the place


def scan_table(found: ScanTables, most: int = ROWS) -> Table:
    """One row per target: its highest and lowest activation, and the text around the highest place."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("neuron", overflow="fold")
    table.add_column("highest", justify="right")
    table.add_column("lowest", justify="right")
    table.add_column("where", overflow="fold")
    lowest = dict(zip(found, found.targets["lowest"].to_pylist(), strict=True))
    for row in found.best[:most]:
        table.add_row(Text(row["target"]), f"{row['activation']:.3f}", f"{lowest[row['target']]:.3f}", _marked(row))
    return table


def places_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """One row per place, by target and rank."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("neuron", overflow="fold")
    table.add_column("activation", justify="right")
    table.add_column("where", overflow="fold")
    for row in rows:
        table.add_row(Text(row["target"] if row["rank"] == 1 else ""), f"{row['activation']:.3f}", _marked(row))
    return table


def _marked(row: Mapping[str, Any]) -> Text:
    """The text of a window, its tokens in the colour of their activations; the token of the place is bold and underlined."""
    if row["spans"] is None:
        return Text(Word.visible(row["text"]))
    colours = [None] * len(row["ids"]) if row["activations"] is None else lit(row["activations"])
    text, place = Text(), 0
    for number, (begin, end) in enumerate(zip(row["spans"][::2], row["spans"][1::2], strict=True)):
        style = [f"{INK} on {colours[number]}"] * bool(colours[number]) + ["bold underline"] * (number == row["position"] - row["begin"])
        for part, shown in ((row["text"][place:begin], ""), (row["text"][max(begin, place) : end], " ".join(style))):
            text.append(Word.visible(part) if part else "", shown)
        place = max(place, end)
    return text


def summary(found: ScanTables) -> str:
    """What a scan read and what it left out, in one line."""
    about, settings = found.about, found.about["scan"]["settings"]
    left = f" First {settings['skipped']} positions left out;" if settings["skipped"] and settings["question"] == "context" else ""
    shards = about["shards"]
    part = "" if len(shards["done"]) == shards["of"] else f" Only {len(shards['done'])} of {shards['of']} shards are in."
    rate = about["tokens"] / max(about["seconds"], 1e-9)
    special = "counted" if settings["special"] else "left out"
    broken = f" {found.left_out}." if found.left_out else ""
    return (
        f"{len(found):,} targets, {about['documents']:,} documents, {about['tokens']:,} tokens, {ScanFolder.question(settings)}."
        f"{left} special tokens {special}.{part}{broken} {about['seconds']:.0f} s of workers, {rate:,.0f} tokens a second."
    )


def corpus_curve(found: ScanTables, target: str, records: Iterable[Record] = ()) -> "Figure":
    """The best activation in random parts of the corpus against their tokens, and the activations of methods as lines.

    The line of a method is the best of its `records` for the target. Raises InputError for a target that was not scanned.
    """
    from matplotlib.figure import Figure

    found.of(target)
    levels: dict[str, float] = {}
    for record in records:
        if record.target == target:
            levels[record.method] = max(record.activation, levels.get(record.method, -np.inf))
    rows = [row for row in found.curve.to_pylist() if row["target"] == target and np.isfinite(row["highest"])]
    figure = Figure(figsize=(5.2, 3.6), layout="constrained")
    axes = figure.subplots()
    axes.plot([row["tokens"] for row in rows], [row["highest"] for row in rows], color="black", marker=".", label="corpus")
    for number, (name, level) in enumerate(levels.items()):
        axes.axhline(level, color="black", linestyle=("--", ":", "-.")[number % 3], linewidth=1, label=name)
    axes.set_xscale("log")
    axes.set_xlabel("tokens of the corpus")
    axes.set_ylabel("best activation")
    axes.set_title(target)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8)
    return figure
