"""Fetching documents by their numbers, once it is known which are wanted."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from optigram.scanning.documents import CUTS, Document, documents, place_of
from optigram.scanning.sources import CUT, WHOLE, Part, Source


def fetch(known: Sequence[Source], numbers: Iterable[int]) -> Iterator[Document]:
    """The documents with these numbers, in the order of the corpus. What cannot be found any more is left out."""
    wanted: defaultdict[int, set[int]] = defaultdict(set)
    for number in numbers:
        wanted[place_of(number)[0]].add(number)
    for source in sorted(wanted):
        yield from _of_source(known, source, wanted[source])


def _of_source(known: Sequence[Source], source: int, numbers: set[int]) -> Iterator[Document]:
    found: dict[int, Document] = {}
    for part in _likely(known[source], source, numbers):
        found |= {text.number: text for text in documents(known, part, _ignore) if text.number in numbers}
    if len(found) < len(numbers):
        for text in documents(known, Part(source, 0, WHOLE), _ignore) if known[source].kind != "hf:" else ():
            if text.number in numbers:
                found[text.number] = text
            if len(found) == len(numbers):
                break
    yield from (found[number] for number in sorted(found))


def _likely(source: Source, number: int, numbers: set[int]) -> Iterator[Part]:
    """Small parts of a source that hold most of the documents, where there are such parts."""
    places = sorted({place_of(each)[1] for each in numbers})
    if source.kind in CUT and not source.packed:
        yield from (Part(number, place, place + 1) for place in places)
    elif source.kind == "hf:":
        yield from (Part(number, shard, shard + 1) for shard in sorted({place >> (CUTS + 22) for place in places}))
    elif source.kind == "parquet" and not source.packed:
        import pyarrow.parquet as parquet

        groups, first = parquet.ParquetFile(source.path).metadata, 0
        for group in range(groups.num_row_groups):
            last = first + groups.row_group(group).num_rows
            if any(first <= place >> CUTS < last for place in places):
                yield Part(number, group, group + 1)
            first = last


def _ignore(bad: str) -> None:
    """What cannot be read was told of when it was scanned."""
