"""Tables for the terminal, in the layout of the paper's Table 1: neuron, method, text, activation."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console, ConsoleOptions
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from optigram.optimize.baseline import BASELINE
from optigram.report.colours import INK, heat_lookup, shade
from optigram.report.escape import Word, heat_words, visible
from optigram.runs.records import Record
from optigram.study.evidence import Evidence, Heat

COST = "forward-equivalents"  # heading of a record's total cost


def ngram_table(records: Sequence[Record], evidence: Sequence[Evidence] = ()) -> Table:
    """One row per text, grouped by target: its whole text, its activation, and what its search cost in all.

    The free words are bold where a template surrounds them, or between ** where nothing can be bold. With corpus search among the
    methods, each activation is also given as a ratio to its best text. With evidence, words have a colour: orange adds to the
    activation, blue lowers it, and the word that adds most is underlined.
    """
    heat_of = heat_lookup(evidence)
    baseline = {record.target: record.activation for record in records if record.method == BASELINE and record.rank == 1}
    surprised = any(record.surprisal is not None for record in records)
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("neuron", overflow="fold")
    table.add_column("method")
    table.add_column("text", overflow="fold")
    for name in ("activation", *[f"/ {BASELINE}"] * bool(baseline), *["nats per token"] * surprised, COST):
        table.add_column(name, justify="right")
    for target in dict.fromkeys(record.target for record in records):
        rows = [record for record in records if record.target == target]
        best = max(record.activation for record in rows)
        for number, record in enumerate(rows):
            style = "bold" if record.activation == best else ""
            numbers = [Text(f"{record.activation:.3f}", style)]
            numbers += [Text(ratio(record.activation, baseline.get(target)), style)] if baseline else []
            numbers += [Text("" if record.surprisal is None else f"{record.surprisal:.2f}")] if surprised else []
            numbers.append(Text(f"{record.total_forwards:,.0f}" if record.rank == 1 else ""))
            names = Text(target if number == 0 else "", style), Text(record.method, style)
            table.add_row(*names, _WholeText(record, heat_of(record)), *numbers, end_section=number == len(rows) - 1)
    return table


@dataclass(frozen=True)
class _WholeText:
    """A record's whole text for rich, its free words marked in the way that the console can show."""

    record: Record
    heat: Heat | None

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        yield self.text(console.is_terminal)

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement.get(console, options, self.text(console.is_terminal))

    def text(self, styled: bool) -> Text:
        """Bold and coloured, or with ** around free words that something surrounds."""
        if not styled:
            return Text(visible(self.record.marked()))
        if self.heat is not None:
            return _heated(self.record.activation, heat_words(self.record, self.heat))
        pieces = self.record.pieces()
        return Text.assemble(*((visible(piece), "bold" if free and len(pieces) > 1 else "") for piece, free in pieces))


def _heated(activation: float, words: Sequence[Word]) -> Text:
    """Words in the colours of what they add; free ones are bold where fixed ones stand beside them."""
    shades, top = shade(activation, [word.without for word in words])
    spaced = any(word.text.startswith(" ") for word in words if word.free)
    surrounded = not all(word.free for word in words)
    found = Text()
    for place, (word, colour) in enumerate(zip(words, shades, strict=True)):
        shown = visible(word.text if spaced or word.free else word.text.strip())
        if spaced and not word.free and place + 1 < len(words) and words[place + 1].text.startswith(" "):
            shown = shown.rstrip(" ")
        style = [f"{INK} on {colour}"] * bool(colour) + ["bold"] * (surrounded and word.free) + ["underline"] * (place == top)
        found.append("" if spaced or not place else " ").append(shown, " ".join(style))
    return found


def ratio(activation: float, baseline: float | None) -> str:
    """An activation over that of corpus search; a dash where the latter is not positive, since a ratio means nothing then."""
    return f"{activation / baseline:.2f}" if baseline is not None and baseline > 0 else "-"


def explanation_table(explanation: Mapping[str, Any]) -> Table:
    """One row per word of a text: the change of activation without it, and with the best other words in its place."""
    own = explanation["activation"]
    table = Table(box=None, pad_edge=False, header_style="bold", title=Text(f"{explanation['target']}  {own:.3f}"), title_justify="left")
    table.add_column("word", overflow="fold")
    table.add_column("without", justify="right")
    table.add_column("best in its place", overflow="fold")
    for place in explanation["places"]:
        others = [f"{visible(one['word'].strip())} {one['activation'] - own:+.2f}" for one in place["substitutions"]]
        without = "" if place["without"] is None else f"{place['without'] - own:+.3f}"
        table.add_row(Text(visible(place["word"].strip())), without, Text(", ".join(others)))
    return table


def order_line(explanation: Mapping[str, Any]) -> str:
    """How much the order of the words matters, in a sentence."""
    orders = sorted(explanation["orders"])
    if not orders:
        return "a single word has no order"
    middle, own = orders[len(orders) // 2], explanation["activation"]
    better = sum(value > own for value in orders)
    return f"in {len(orders)} other orders: {orders[0]:.3f} to {orders[-1]:.3f}, median {middle:.3f}; {better} of them better"


def check_table(rows: Iterable[Mapping[str, Any]]) -> Table:
    """One row per claim about a model: whether it holds, and the figure that decides."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("")
    table.add_column("claim")
    table.add_column("figure", justify="right")
    table.add_column("which is", overflow="fold")
    for row in rows:
        mark = Text("holds", style="green") if row["holds"] else Text("FAILS", style="bold red")
        table.add_row(mark, Text(row["claim"]), f"{row['figure']:.3g}", Text(row["meaning"]))
    return table
