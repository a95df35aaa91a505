"""Tables for the terminal, in the manner of the paper's Table 1: method, optimal n-gram, neuron, activation."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from optigram.report.colours import INK, key_of, shade
from optigram.report.escape import visible
from optigram.runs.records import Record
from optigram.study.evidence import Evidence, Heat

BASELINE = "crp"


def ngram_table(records: Sequence[Record], evidence: Sequence[Evidence] = ()) -> Table:
    """One row a text, by target; with corpus search among the methods, each activation also as a ratio to its best; with its
    surprisal in nats a token, where that was asked for.

    With evidence, what each word adds is its colour: orange adds, blue takes away, and the word that adds most is underlined.
    """
    heats = {key_of(one, heat): heat for one in evidence for heat in one.heats}
    baseline = {record.target: record.activation for record in records if record.method == BASELINE and record.rank == 1}
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("neuron", overflow="fold")
    table.add_column("method")
    table.add_column("optimal text", overflow="fold")
    table.add_column("activation", justify="right")
    if baseline:
        table.add_column(f"/ {BASELINE}", justify="right")
    surprised = any(record.surprisal is not None for record in records)
    if surprised:
        table.add_column("nats", justify="right")
    table.add_column("f.e.", justify="right")
    for target in dict.fromkeys(record.target for record in records):
        rows = [record for record in records if record.target == target]
        best = max(record.activation for record in rows)
        for number, record in enumerate(rows):
            cells = [
                Text(target if number == 0 else ""),
                Text(record.method),
                heated(record, heats.get(key_of(record, record))),
                Text(f"{record.activation:.3f}"),
            ]
            if baseline:
                cells.append(Text(ratio(record.activation, baseline.get(target))))
            if surprised:
                cells.append(Text("" if record.surprisal is None else f"{record.surprisal:.2f}"))
            cells.append(Text(f"{record.forwards + record.backwards:,.0f}" if record.rank == 1 else ""))
            table.add_row(*cells, style="bold" if record.activation == best else None, end_section=number == len(rows) - 1)
    return table


def heated(record: Record, heat: Heat | None) -> Text:
    """A record's text, coloured where it is known what each word adds."""
    if heat is None:
        return Text(record.text)
    shades, top = shade(record.activation, heat.without)
    blank = "" if any(word.startswith(" ") for word in heat.words) else " "
    words = [Text(visible(word), f"{INK} on {colour}" if colour else "") for word, colour in zip(heat.words, shades, strict=True)]
    if top is not None:
        words[top].stylize("underline")
    return Text(blank).join(words)


def ratio(activation: float, baseline: float | None) -> str:
    """An activation over that of corpus search; a dash where the baseline is not positive, for then a ratio means nothing."""
    return f"{activation / baseline:.2f}" if baseline is not None and baseline > 0 else "-"


def explanation_table(explanation: Mapping[str, Any]) -> Table:
    """One row a word of a text: what the text loses without it, and the best words in its place with what the text then has."""
    own = explanation["activation"]
    table = Table(box=None, pad_edge=False, header_style="bold", title=Text(f"{explanation['target']}  {own:.3f}"), title_justify="left")
    table.add_column("word", overflow="fold")
    table.add_column("without", justify="right")
    table.add_column("best in its place", overflow="fold")
    for place in explanation["places"]:
        others = [f"{one['word'].strip()} {one['activation'] - own:+.2f}" for one in place["substitutions"]]
        without = "" if place["without"] is None else f"{place['without'] - own:+.3f}"
        table.add_row(Text(place["word"].strip()), without, Text(", ".join(others)))
    return table


def order_line(explanation: Mapping[str, Any]) -> str:
    """Whether the order of the words matters, in a sentence."""
    orders = sorted(explanation["orders"])
    if not orders:
        return "a single word has no order"
    middle, own = orders[len(orders) // 2], explanation["activation"]
    better = sum(value > own for value in orders)
    return f"in {len(orders)} other orders: {orders[0]:.3f} to {orders[-1]:.3f}, median {middle:.3f}; {better} of them better"


def check_table(rows: Iterable[Mapping[str, Any]]) -> Table:
    """One row a claim about a model: whether it holds, and the figure that decided."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("")
    table.add_column("claim")
    table.add_column("figure", justify="right")
    table.add_column("which is", overflow="fold")
    for row in rows:
        mark = Text("holds", style="green") if row["holds"] else Text("FAILS", style="bold red")
        table.add_row(mark, Text(row["claim"]), f"{row['figure']:.3g}", Text(row["meaning"]))
    return table
