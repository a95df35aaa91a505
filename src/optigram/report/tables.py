"""Tables for the terminal, in the layout of the paper's Table 1: neuron, method, text, activation."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from optigram.optimize.baseline import BASELINE
from optigram.report.colours import INK, shade
from optigram.report.escape import Word
from optigram.runs.records import SHORTEST, Record
from optigram.study.evidence import Evidence, Heat

COST = "forward-equivalents"  # heading of a record's total cost


def ngram_table(records: Sequence[Record], evidence: Sequence[Evidence] = ()) -> Table:
    """One row per text, grouped by target: its whole text, its activation, and what its search cost in all.

    The free words are bold where a template surrounds them, or between ** where nothing can be bold. With corpus search among the
    methods, each activation is also given as a ratio to its best text. With evidence, words have a colour: orange adds to the
    activation, blue lowers it, and the word that adds most is underlined.
    """
    heat_of = Evidence.heat_lookup(evidence)
    baseline = {record.target: record.activation for record in records if record.method == BASELINE and record.rank == 1}
    surprised = any(record.surprisal is not None for record in records)
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("neuron", overflow="fold")
    table.add_column("method")
    table.add_column("text", overflow="fold")
    lengths = {record.words for record in records}
    if len(lengths) > 1:
        table.add_column("words", justify="right")
    for name in ("activation", *[f"/ {BASELINE}"] * bool(baseline), *["nats per token"] * surprised, COST):
        table.add_column(name, justify="right")
    for target in dict.fromkeys(record.target for record in records):
        rows = [record for record in records if record.target == target]
        best = max(record.activation for record in rows)
        for number, record in enumerate(rows):
            style = "bold" if record.activation == best else ""
            numbers = [Text(_words(record))] if len(lengths) > 1 else []
            numbers.append(Text(f"{record.activation:.3f}", style))
            numbers += [Text(ratio(record.activation, baseline.get(target)), style)] if baseline else []
            numbers += [Text("" if record.surprisal is None else f"{record.surprisal:.2f}")] if surprised else []
            numbers.append(Text(f"{record.total_forwards:,.0f}" if record.rank == 1 else ""))
            names = Text(target if number == 0 else "", style), Text(record.method, style)
            table.add_row(*names, _WholeText(record, heat_of(record)), *numbers, end_section=number == len(rows) - 1)
    return table


def _words(record: Record) -> str:
    """How many words a text has, with a mark on the shortest that is within 1% of the best."""
    return f"shortest within 1%: {record.words}" if SHORTEST in record.notes else str(record.words)


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
            return Text(Word.visible(self.record.marked()))
        if self.heat is not None:
            return _heated(self.record.activation, Word.of_record(self.record, self.heat))
        pieces = self.record.pieces()
        return Text.assemble(*((Word.visible(piece), "bold" if free and len(pieces) > 1 else "") for piece, free in pieces))


def _heated(activation: float, words: Sequence[Word]) -> Text:
    """Words in the colours of what they add; free ones are bold where fixed ones stand beside them."""
    shades, top = shade(activation, [word.without for word in words])
    spaced = any(word.text.startswith(" ") for word in words if word.free)
    surrounded = not all(word.free for word in words)
    found = Text()
    for place, (word, colour) in enumerate(zip(words, shades, strict=True)):
        shown = Word.visible(word.text if spaced or word.free else word.text.strip())
        if spaced and not word.free and place + 1 < len(words) and words[place + 1].text.startswith(" "):
            shown = shown.rstrip(" ")
        style = [f"{INK} on {colour}"] * bool(colour) + ["bold"] * (surrounded and word.free) + ["underline"] * (place == top)
        found.append("" if spaced or not place else " ").append(shown, " ".join(style))
    return found


def ratio(activation: float, baseline: float | None) -> str:
    """An activation over that of corpus search; a dash where the latter is not positive, since a ratio means nothing then."""
    return f"{activation / baseline:.2f}" if baseline is not None and baseline > 0 else "-"
