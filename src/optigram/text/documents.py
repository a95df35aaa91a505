"""Documents: the texts of a corpus, each with a number that says where it stands, whoever reads it and in what order.

A number is the number of the source, then the place in it (see `formats`).
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from optigram.errors import InputError
from optigram.text.formats import CUT_BITS, PLACE_BITS, ROW_BITS, WHOLE, Part, Source, Tell
from optigram.text.hub import HUB
from optigram.text.shards import SPLITTABLE


def _refuse(bad: str) -> None:
    raise InputError(f"cannot read {bad}; repair or remove it")


class Document(NamedTuple):
    """A text, its number in the corpus, and the key of the image that it describes, if any."""

    number: int
    text: str
    image: str | None = None

    @staticmethod
    def place_of(number: int) -> tuple[int, int]:
        """The number of the source of a document, and its place there."""
        return number >> PLACE_BITS, number & ((1 << PLACE_BITS) - 1)

    @staticmethod
    def fetch(known: Sequence[Source], numbers: Iterable[int]) -> "Iterator[Document]":
        """The documents with these numbers, in the order of the corpus. Those that cannot be found any more are left out."""
        wanted: defaultdict[int, set[int]] = defaultdict(set)
        for number in numbers:
            wanted[Document.place_of(number)[0]].add(number)
        for source in sorted(wanted):
            yield from _of_source(known, source, wanted[source])

    @staticmethod
    def all_of(known: Sequence[Source], part: Part, tell: Tell = _refuse) -> "Iterator[Document]":
        """The documents of a part that are not blank, in order. `tell` is called with what cannot be read, which is skipped if it returns.

        Raises InputError by default.
        """
        first = part.source << PLACE_BITS
        for row in known[part.source].read(part, tell):
            if row.text.strip():
                yield Document(first | row.place, row.text, row.image)


def _of_source(known: Sequence[Source], source: int, numbers: set[int]) -> Iterator[Document]:
    found: dict[int, Document] = {}
    for part in _likely_parts(known[source], source, numbers):
        found |= {text.number: text for text in Document.all_of(known, part, _ignore) if text.number in numbers}
    if len(found) < len(numbers) and known[source].kind != HUB:
        for text in Document.all_of(known, Part(source, 0, WHOLE), _ignore):
            if text.number in numbers:
                found[text.number] = text
            if len(found) == len(numbers):
                break
    yield from (found[number] for number in sorted(found))


def _likely_parts(source: Source, number: int, numbers: set[int]) -> Iterator[Part]:
    """Small parts of a source that hold most of the documents, where there are such parts."""
    places = sorted({Document.place_of(each)[1] for each in numbers})
    if source.kind in SPLITTABLE and not source.packed:
        yield from (Part(number, place, place + 1) for place in places)
    elif source.kind == HUB:
        yield from (Part(number, shard, shard + 1) for shard in sorted({place >> (CUT_BITS + ROW_BITS) for place in places}))
    elif source.kind == "parquet" and not source.packed:
        import pyarrow.parquet as parquet

        groups, first = parquet.ParquetFile(source.path).metadata, 0
        for group in range(groups.num_row_groups):
            last = first + groups.row_group(group).num_rows
            if any(first <= place >> CUT_BITS < last for place in places):
                yield Part(number, group, group + 1)
            first = last


def _ignore(bad: str) -> None:
    """What cannot be read was reported when it was scanned."""
