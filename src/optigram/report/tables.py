"""Tables for the terminal, in the manner of the paper's Table 1: method, optimal n-gram, neuron, activation."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from optigram.study.records import Record

BASELINE = "crp"


def ngram_table(records: Sequence[Record]) -> Table:
    """One row a text, by target; with corpus search among the methods, each activation also as a ratio to its best."""
    baseline = {record.target: record.activation for record in records if record.method == BASELINE and record.rank == 1}
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("neuron", overflow="fold")
    table.add_column("method")
    table.add_column("optimal text", overflow="fold")
    table.add_column("activation", justify="right")
    if baseline:
        table.add_column(f"/ {BASELINE}", justify="right")
    table.add_column("f.e.", justify="right")
    for target in dict.fromkeys(record.target for record in records):
        rows = [record for record in records if record.target == target]
        best = max(record.activation for record in rows)
        for number, record in enumerate(rows):
            cells = [Text(target if number == 0 else ""), Text(record.method), Text(record.text), Text(f"{record.activation:.3f}")]
            if baseline:
                cells.append(Text(ratio(record.activation, baseline.get(target))))
            cells.append(Text(f"{record.forwards + record.backwards:,.0f}" if record.rank == 1 else ""))
            table.add_row(*cells, style="bold" if record.activation == best else None, end_section=number == len(rows) - 1)
    return table


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
