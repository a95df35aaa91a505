"""The formats of a corpus, all in one place: each gives the texts of a part of a source, with the place of each.

Text files have a text per line. `.jsonl`, `.csv`, `.tsv`, `.parquet`, COCO captions `.json` and Hub data sets have a text per row, in a
column. The place of a line is the byte at which it begins; the place of a row is its number, shifted by `CUT_BITS`. A text longer than
`LONGEST` is cut at a space into several, so that a line of any length needs the memory of one.
"""

import codecs
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from optigram.errors import InputError
from optigram.files import parse_json
from optigram.text.columns import TextColumn
from optigram.text.hub import HUB, HubData
from optigram.text.lines import LONGEST, Line
from optigram.text.packed import BOM, BROKEN, PACKED, PackedFile
from optigram.text.tables import Row, TableFile, Tell

KINDS = {".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".tsv": "tsv", ".parquet": "parquet", ".json": "coco"}
WIDE = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_BE)  # that of UTF-32, little end first, begins with the first of them
WHOLE = -1
PLACE_BITS = 46  # of the number of a document: its place in the source
CUT_BITS = 12  # of the place of a row: the number of the cut
ROW_BITS = 22  # of the row number of a Hub data set: the row in its shard


class Source(NamedTuple):
    """A file or Hub data set. `kind` is its format, `packed` its compression ("": none), `mark` changes with its content.

    `column` holds the texts; None: the first of `TEXT_COLUMNS` in the rows. `others` are the columns that could have been meant too.
    """

    path: str
    kind: str
    packed: str
    size: int
    mark: str
    column: str | None = None
    others: str = ""

    @staticmethod
    def format_of(path: Path) -> tuple[str, str]:
        """The format and compression of a file, by its ending in any case; others are plain text. Raises InputError for binary files."""
        packed = PACKED.get(path.suffix.lower(), "")
        suffix = path.with_suffix("").suffix if packed else path.suffix
        kind = KINDS.get(suffix.lower(), "lines")
        first = b"" if kind == "parquet" else PackedFile(str(path), packed).first()
        if first.startswith(WIDE):
            raise InputError(f"{str(path)!r} is text in UTF-16 or UTF-32; save it as UTF-8")
        if b"\0" in first:
            raise InputError(f"{str(path)!r} is a binary file; give texts as UTF-8 text, .csv, .tsv, .jsonl, .parquet or COCO .json")
        return kind, packed

    def read(self, part: "Part", tell: Tell) -> "Iterator[_Row]":
        """The texts of a part, in order. What cannot be read is skipped if `tell` returns. Raises InputError for a missing column."""
        if self.kind == "lines":
            for line in _lines(self, part, tell, LONGEST):
                yield from (_Row(line.offset, text) for text in _decoded(self, line, tell))
            return
        column = None if self.column is None else TextColumn(self.column)
        for place, row in _rows(self, part, tell):
            column = column or TextColumn.among(row, None, repr(self.path))
            try:
                text, image = column.pick(row)
            except ValueError as error:
                tell(f"{self.path} at {f'byte {place}' if self.kind == 'jsonl' else f'row {place >> CUT_BITS}'} ({error})")
                continue
            yield from _cut(place, text, image)


class Part(NamedTuple):
    """Part of the source with number `source`: lines that begin at bytes [begin, end), row groups, or shards of a Hub data set."""

    source: int
    begin: int
    end: int


class _Row(NamedTuple):
    """A text, its place in the source, and the key of the image that it describes, if any."""

    place: int
    text: str
    image: str | None = None


def _rows(source: Source, part: Part, tell: Tell) -> Iterator[tuple[int, Row]]:
    """The rows of a part of a table, each with the place of its text."""
    if source.kind == "jsonl":
        yield from _jsonl(source, part, tell)
        return
    read = 0
    try:
        for read, row in _table(source, part, tell):
            yield read << CUT_BITS, row
    except BROKEN as error:
        if isinstance(error, InputError):
            raise
        tell(f"{source.path} after row {read} ({_brief(error)})")


def _table(source: Source, part: Part, tell: Tell) -> Iterator[tuple[int, Row]]:
    """The rows of a part of a table by number."""
    if source.kind == HUB:
        yield from enumerate(HubData(source.path).rows(part.begin), part.begin << ROW_BITS)
    else:
        file = TableFile(source.path, source.packed, source.kind, source.column)
        yield from file.rows(part.begin, None if part.end == WHOLE else part.end, tell)


def _lines(source: Source, part: Part, tell: Tell, longest: int | None) -> Iterator[Line]:
    end = part.end if part.end != WHOLE else 1 << PLACE_BITS
    read = 0
    try:
        with PackedFile(source.path, source.packed).open() as file:
            for line in Line.all_in(file, part.begin, end, longest):
                read = line.offset + len(line.data)
                yield line
    except BROKEN as error:
        if isinstance(error, InputError):
            raise
        tell(f"{source.path} after byte {read} ({_brief(error)})")


def _decoded(source: Source, line: Line, tell: Tell) -> Iterator[str]:
    data = line.data.removeprefix(BOM) if line.offset == 0 else line.data
    try:
        yield data.decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError as error:
        tell(f"{source.path} at byte {line.offset + error.start}: it is not UTF-8")


def _jsonl(source: Source, part: Part, tell: Tell) -> Iterator[tuple[int, Row]]:
    for line in _lines(source, part, tell, None):
        for text in _decoded(source, line, tell):
            try:
                row = parse_json(text) if text.strip() else None
            except ValueError:
                row = text
            if isinstance(row, dict):
                yield line.offset, row
            elif row is not None:
                tell(f"{source.path} at byte {line.offset}: it is not a JSON object")


def _cut(place: int, text: str, image: str | None) -> Iterator[_Row]:
    """A text in pieces of at most `LONGEST` characters, cut at spaces where there are any."""
    while len(text) > LONGEST:
        edge = text.rfind(" ", 0, LONGEST) + 1 or LONGEST
        yield _Row(place, text[:edge], image)
        place, text = place + 1, text[edge:]
    yield _Row(place, text, image)


def _brief(error: BaseException) -> str:
    return " ".join(str(error).split())[:160] or type(error).__name__
