"""Explanations as `explain` returns them: a sequence that prints as tables in a terminal and in a notebook."""

import html
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from rich.console import Console
from rich.table import Table
from rich.text import Text

from optigram.report.escape import Word
from optigram.report.frames import pandas_of
from optigram.runs.explanation import Explanation

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True, repr=False)
class Explanations(Sequence[Explanation]):
    """One explanation per target, in the order of the targets."""

    explanations: tuple[Explanation, ...]

    def __len__(self) -> int:
        return len(self.explanations)

    def __getitem__(self, index: Any) -> Any:
        """The explanation with this index, or those of a slice."""
        return Explanations(self.explanations[index]) if isinstance(index, slice) else self.explanations[index]

    def __iter__(self) -> Iterator[Explanation]:
        return iter(self.explanations)

    def __repr__(self) -> str:
        lines = (f"  {one.target}: {one.text!r}, activation {one.activation:.3f}, {one.order()}" for one in self)
        return "\n".join([f"Explanations of {len(self)} targets", *lines])

    def show(self, console: Console | None = None) -> None:
        """Print a table per target, and whether the order of the words matters, on a `rich` console."""
        console = console or Console()
        for one in self:
            console.print(_table(one))
            console.print(one.order() + "\n", highlight=False, markup=False)

    def to_pandas(self) -> "pandas.DataFrame":
        """One row per target, word and substitution: target, text, word, activation without it, substitute, its activation."""
        rows = [
            {
                "target": one.target,
                "text": one.text,
                "position": position,
                "word": place.word,
                "without": place.without,
                "substitute": other.word,
                "activation": other.activation,
            }
            for one in self
            for position, place in enumerate(one.places)
            for other in place.substitutions
        ]
        return pandas_of(pa.Table.from_pylist(rows))

    def _repr_html_(self) -> str:
        return "".join(map(_html, self))


def _table(explanation: Explanation) -> Table:
    """One row per word of a text: the change of activation without it, and with the best other words in its place."""
    own = explanation.activation
    table = Table(box=None, pad_edge=False, header_style="bold", title=Text(f"{explanation.target}  {own:.3f}"), title_justify="left")
    table.add_column("word", overflow="fold")
    table.add_column("without", justify="right")
    table.add_column("best in its place", overflow="fold")
    for place in explanation.places:
        others = [f"{Word.visible(one.word.strip())} {one.activation - own:+.2f}" for one in place.substitutions]
        without = "" if place.without is None else f"{place.without - own:+.3f}"
        table.add_row(Text(Word.visible(place.word.strip())), without, Text(", ".join(others)))
    return table


def _html(one: Explanation) -> str:
    own = one.activation
    rows = []
    for place in one.places:
        others = ", ".join(f"{Word.visible(other.word.strip())} {other.activation - own:+.2f}" for other in place.substitutions)
        without = "" if place.without is None else f"{place.without - own:+.3f}"
        cells = (Word.visible(place.word.strip()), without, others)
        rows.append("<tr>" + "".join(f"<td><bdi>{html.escape(cell)}</bdi></td>" for cell in cells) + "</tr>")
    head = "<tr><th>word</th><th>without it</th><th>best substitutes</th></tr>"
    title = f"<b>{html.escape(one.target)}</b> {own:.3f}: {html.escape(Word.visible(one.text))}"
    return f"<p>{title}</p><table>{head}{''.join(rows)}</table><p>{html.escape(one.order())}</p>"
