"""Documents: the texts of a corpus, each with a number that says where it stands, whoever reads it and in what order.

A number is that of the source, then a place: of lines the byte at which the line begins, of rows the row. A text that is
longer than `LONGEST` is cut at a blank into several documents, so that a line of any length needs the memory of one.
"""

import bz2
import gzip
import io
import json
import lzma
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, cast

import pyarrow as pa

from optigram.errors import InputError
from optigram.text.formats import columns
from optigram.text.hub import HUB, hub_rows
from optigram.text.lines import LONGEST, Line, lines
from optigram.text.sources import CUT, WHOLE, Part, Source

PLACES = 46  # bits of a number that are the place
CUTS = 12  # bits of a row's place that are the number of the cut
OPENED = {"": Path.open, "gzip": gzip.open, "bz2": bz2.open, "xz": lzma.open}
BROKEN = (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError, pa.ArrowException, RuntimeError)

Told = Callable[[str], None]  # told of what cannot be read


class Document(NamedTuple):
    """A text, and its number in the corpus."""

    number: int
    text: str


def place_of(number: int) -> tuple[int, int]:
    """The source of a document, and its place in it."""
    return number >> PLACES, number & ((1 << PLACES) - 1)


def refuse(bad: str) -> None:
    """What is done with what cannot be read, where nothing may be skipped: raise InputError."""
    raise InputError(f"cannot read {bad}; mend it, or leave it out with --skip-bad")


def documents(known: Sequence[Source], part: Part, tell: Told = refuse) -> Iterator[Document]:
    """The documents of a part that are not blank, in order. `tell` hears of what cannot be read, and if it returns, that is skipped."""
    source = known[part.source]
    for place, text in _texts(source, part, tell):
        if text.strip():
            yield Document(part.source << PLACES | place, text)


def _texts(source: Source, part: Part, tell: Told) -> Iterator[tuple[int, str]]:
    match source.kind:
        case "lines":
            for line in _lines(source, part, tell, LONGEST):
                yield from ((line.offset, text) for text in _decoded(source, line, tell))
        case "jsonl":
            for line in _lines(source, part, tell, None):
                for text in _decoded(source, line, tell):
                    yield from ((line.offset + cut, piece) for cut, piece in _cut(_json_text(source, line, text, tell)))
        case "parquet":
            yield from _rows(source, _parquet(source, part, tell), part, tell)
        case kind if kind == HUB:
            yield from _rows(source, _numbered(hub_rows(source.path, part.begin), part.begin << 22), part, tell)
        case kind:
            yield from _rows(source, _numbered(_table(source, kind), 0), part, tell)


def _lines(source: Source, part: Part, tell: Told, longest: int | None) -> Iterator[Line]:
    end = part.end if part.end != WHOLE else 1 << PLACES
    read = 0
    try:
        with _opened(source) as file:
            for line in lines(file, part.begin, end, longest):
                read = line.offset + len(line.data)
                yield line
    except BROKEN as error:
        if isinstance(error, InputError):
            raise
        tell(f"{source.path} after byte {read} ({_brief(error)})")


def _decoded(source: Source, line: Line, tell: Told) -> Iterator[str]:
    try:
        yield line.data.decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError as error:
        tell(f"{source.path} at byte {line.offset + error.start}: it is no UTF-8")


def _json_text(source: Source, line: Line, text: str, tell: Told) -> str:
    try:
        row = json.loads(text) if text.strip() else None
    except ValueError:
        tell(f"{source.path} at byte {line.offset}: it is no JSON")
        return ""
    return columns(row, Path(source.path))(row).text if isinstance(row, dict) else ""


def _rows(source: Source, rows: Iterable[tuple[int, dict]], part: Part, tell: Told) -> Iterator[tuple[int, str]]:
    pick, read = None, 0
    try:
        for read, row in rows:
            pick = pick or columns(row, Path(source.path))
            yield from ((read << CUTS | cut, text) for cut, text in _cut(pick(row).text))
    except BROKEN as error:
        if isinstance(error, InputError):
            raise
        tell(f"{source.path} after row {read} ({_brief(error)})")


def _parquet(source: Source, part: Part, tell: Told) -> Iterator[tuple[int, dict]]:
    import pyarrow.parquet as parquet

    file = parquet.ParquetFile(source.path)
    groups = range(part.begin, part.end if part.end != WHOLE else file.num_row_groups)
    row = sum(file.metadata.row_group(i).num_rows for i in range(part.begin))
    for group in groups:
        count = file.metadata.row_group(group).num_rows
        try:
            for batch in file.iter_batches(row_groups=[group], batch_size=1 << 12):
                yield from enumerate(batch.to_pylist(), start=row)
                row, count = row + len(batch), count - len(batch)
        except (OSError, pa.ArrowException) as error:
            tell(f"{source.path}, row group {group} ({_brief(error)})")
        row += count


def _numbered(rows: Iterable[dict], first: int) -> Iterator[tuple[int, dict]]:
    return enumerate(rows, start=first)


def _table(source: Source, kind: str) -> Iterator[dict]:
    """The rows of a csv or COCO file."""
    import csv

    with _opened(source) as file:
        text = io.TextIOWrapper(cast("io.BufferedReader", file), encoding="utf-8", newline="")
        if kind == "csv":
            yield from csv.DictReader(text)
            return
        content = json.load(text)
    rows = content.get("annotations") if isinstance(content, dict) else content
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise InputError(f"{source.path!r} is no COCO captions file: expected a list under 'annotations'; for one object a line use .jsonl")
    yield from rows


def _cut(text: str) -> Iterator[tuple[int, str]]:
    """A text in pieces of at most `LONGEST` characters, cut at blanks where there are any."""
    number = 0
    while len(text) > LONGEST:
        edge = text.rfind(" ", 0, LONGEST) + 1 or LONGEST
        yield number, text[:edge]
        number, text = number + 1, text[edge:]
    yield number, text


def _opened(source: Source) -> io.BufferedIOBase:
    path = Path(source.path)
    return cast("io.BufferedIOBase", OPENED[source.packed](path, "rb"))


def _brief(error: BaseException) -> str:
    return " ".join(str(error).split())[:120] or type(error).__name__


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
