"""What `concepts` returns: what is known about each target, which prints as tables and is kept as a JSON file."""

import html
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from optigram.errors import InputError
from optigram.explaining.evidence import Concept, Evidence
from optigram.explaining.pattern import BEGIN, END, GAP, NOT, Pattern
from optigram.files import written_whole
from optigram.report.escape import Word

if TYPE_CHECKING:
    import pandas

FORMAT = 1
SHOWN, TEXTS = 6, 5  # words of a slot, and texts of a concept, in a table
KINDS = {
    "off": "switched off",
    "on": "switched on",
    "order": "other order",
    "inhibits": "lowered by",
    "near miss": "near miss",
    "surprise": "outside the patterns",
}


@dataclass(frozen=True, repr=False)
class Evidences(Sequence[Evidence]):
    """What is known about each target: its concepts with their patterns, and contrasts."""

    evidences: tuple[Evidence, ...]

    def __len__(self) -> int:
        return len(self.evidences)

    def __getitem__(self, index: Any) -> Any:
        """The evidence with this index, or those of a slice."""
        return Evidences(self.evidences[index]) if isinstance(index, slice) else self.evidences[index]

    def __iter__(self) -> Iterator[Evidence]:
        return iter(self.evidences)

    def __repr__(self) -> str:
        lines = [f"  {one.target}: {said}" for one in self for said in (_headline(one), *(f"  {_line(each)}" for each in one.concepts))]
        return "\n".join([f"Concepts of {len(self)} target{'' if len(self) == 1 else 's'}", *lines])

    def show(self, console: Console | None = None) -> None:
        """Print the concepts and contrasts of every target on a `rich` console."""
        console = console or Console()
        for one in self:
            console.print(Text(one.target, "bold"), _headline(one), highlight=False)
            console.print(_concepts(one))
            if one.contrasts:
                console.print(_contrasts(one))
            console.print()

    def to_pandas(self) -> "pandas.DataFrame":
        """One row per text: model, target, pole, concept (from 1), pattern, firing, recall, share, source, text, activation."""
        import pandas

        rows = [
            {
                "model": one.model,
                "target": one.target,
                "pole": one.pole,
                "concept": number,
                "pattern": str(concept.pattern),
                "firing": concept.pattern.firing,
                "recall": concept.pattern.recall,
                "share": concept.share,
                "source": example.source,
                "text": example.text,
                "activation": example.activation,
            }
            for one in self
            for number, concept in enumerate(one.concepts, start=1)
            for example in concept.examples
        ]
        return pandas.DataFrame(rows)

    def save(self, file: str | Path) -> None:
        """Write a JSON file that `Evidences.open` reads."""
        kept = {"format": FORMAT, "evidences": [one.to_json() for one in self]}
        with written_whole(Path(file)) as path:
            path.write_text(json.dumps(kept, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")

    @classmethod
    def open(cls, file: str | Path) -> "Evidences":
        """The evidences of a file that `save` wrote. Raises InputError for any other."""
        try:
            kept = json.loads(Path(file).read_text(encoding="utf-8"))
            if kept["format"] != FORMAT:
                raise InputError(f"expected concepts of format {FORMAT} in {file}, got {kept['format']!r}; find them again")
            return cls(tuple(map(Evidence.from_json, kept["evidences"])))
        except OSError as error:
            raise InputError(f"cannot read {file} ({error.strerror}); give a file that save wrote") from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"expected concepts in {file}, got something else; give a file that save wrote") from error

    @staticmethod
    def pattern_line(pattern: Pattern, most: int = SHOWN) -> str:
        """A pattern as people read it: of each slot the first `most` words, and how many there are besides."""

        def slot(words: Sequence[tuple[str, float]]) -> str:
            names = [Word.visible(word.strip()) for word, _ in words[:most]]
            return f"[{'|'.join(names)}{f'|+{len(words) - most}' if len(words) > most else ''}]"

        parts = [BEGIN] * pattern.begins
        for one in pattern.slots:
            parts += [GAP] * one.gap + [slot(one.words)]
        return " ".join(parts + [END] * pattern.ends + ([f"{NOT} {slot(pattern.without)}"] if pattern.without else []))

    def _repr_html_(self) -> str:
        return "".join(map(_html, self))


def _headline(one: Evidence) -> str:
    count = len(one.concepts)
    kinds = "one concept" if count == 1 else f"{count} concepts, reproduced on halves of the texts at {one.stability:.2f}"
    return f"{kinds}; up to {one.maximum:.2f}, usually {one.base:.2f}; {one.forwards:,.0f} forward-equivalents, {one.seconds:.0f} s"


def _line(concept: Concept) -> str:
    return f"{concept.height:.2f}  {Evidences.pattern_line(concept.pattern, 3)}  {concept.examples[0].text!r}"


def _facts(concept: Concept) -> str:
    """How good a pattern is, and what share of the corpus's high places the concept has, in a sentence."""
    pattern = concept.pattern
    facts = [f"{pattern.firing:.0%} of {pattern.drawn} texts drawn from it fire"]
    facts += [] if pattern.recall is None else [f"it is in {pattern.recall:.0%} of the concept's high places"]
    facts += [] if concept.share is None else [f"which are {concept.share:.0%} of all"]
    facts += [] if concept.order is None else [f"{concept.order:.0%} of other orders fire"]
    return ", ".join(facts)


def _concepts(one: Evidence) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("activation", justify="right")
    table.add_column("from")
    table.add_column("concept and texts", overflow="fold")
    for concept in one.concepts:
        core = concept.pattern.core.activation
        table.add_row(Text(f"{core:.2f}", "bold"), Text("pattern", "bold"), Text(Evidences.pattern_line(concept.pattern), "bold"))
        table.add_row("", "", Text(_facts(concept), "dim"))
        for number, example in enumerate(concept.examples[:TEXTS], start=1):
            last = number == min(TEXTS, len(concept.examples))
            table.add_row(f"{example.activation:.2f}", example.source, Text(Word.visible(example.text)), end_section=last)
    return table


def _contrasts(one: Evidence) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("contrast", "activation", "text", "activation", "other text"):
        table.add_column(name, justify="right" if name == "activation" else "left", overflow="fold")
    for contrast in one.contrasts:
        both = [(f"{each.activation:.2f}", Text(Word.visible(each.text))) for each in (contrast.text, contrast.other)]
        table.add_row(KINDS.get(contrast.kind, contrast.kind), *both[0], *both[1])
    return table


def _html(one: Evidence) -> str:
    def row(cells: Sequence[str], tag: str = "td") -> str:
        return "<tr>" + "".join(f"<{tag}><bdi>{html.escape(cell)}</bdi></{tag}>" for cell in cells) + "</tr>"

    parts = [f"<p><b>{html.escape(one.target)}</b> {html.escape(_headline(one))}</p>"]
    for concept in one.concepts:
        rows = [row((f"{each.activation:.2f}", each.source, Word.visible(each.text))) for each in concept.examples[:TEXTS]]
        parts.append(f"<p><b>{html.escape(Evidences.pattern_line(concept.pattern))}</b><br>{html.escape(_facts(concept))}</p>")
        parts.append(f"<table>{row(('activation', 'from', 'text'), 'th')}{''.join(rows)}</table>")
    rows = [
        row((KINDS.get(each.kind, each.kind), f"{each.text.activation:.2f}", Word.visible(each.text.text)))[:-5]
        + row((f"{each.other.activation:.2f}", Word.visible(each.other.text)))[4:]
        for each in one.contrasts
    ]
    head = row(("contrast", "activation", "text", "activation", "other text"), "th")
    return "".join(parts) + (f"<table>{head}{''.join(rows)}</table>" if rows else "")
