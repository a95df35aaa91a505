"""The file formats of a corpus, all in one place: each gives the texts of a part of a source, with the place of each.

Text files have a text per line. `.jsonl`, `.csv`, `.tsv`, `.parquet`, COCO captions `.json` and Hub data sets have a text per row, in a
column. The place of a line is the byte at which it begins; the place of a row is its number, shifted by `CUT_BITS`. A text longer than
`LONGEST` is cut at a space into several, so that a line of any length needs the memory of one.
"""

import bz2
import csv
import gzip
import io
import json
import lzma
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, cast

import pyarrow as pa

from optigram.errors import InputError
from optigram.text.hub import HUB, hub_rows
from optigram.text.lines import LONGEST, Line, lines

TEXT_COLUMNS = ("caption", "text", "sentence")
IMAGE_COLUMNS = ("image_id", "image")
KINDS = {".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".tsv": "tsv", ".parquet": "parquet", ".json": "coco"}
PACKED = {".gz": "gzip", ".bz2": "bz2", ".xz": "xz"}
OPENED = {"": Path.open, "gzip": gzip.open, "bz2": bz2.open, "xz": lzma.open}
BROKEN = (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError, csv.Error, pa.ArrowException, RuntimeError)
BOM = b"\xef\xbb\xbf"
WHOLE = -1
LOOKED = 1 << 16  # bytes in which a binary file shows itself
PLACE_BITS = 46  # of the number of a document: its place in the source
CUT_BITS = 12  # of the place of a row: the number of the cut
ROW_BITS = 22  # of the row number of a Hub data set: the row in its shard

Tell = Callable[[str], None]  # called with what cannot be read


class Source(NamedTuple):
    """A file or Hub data set. `kind` is its format, `packed` its compression ("": none), `mark` changes with its content.

    `column` holds the texts; None: the first of `TEXT_COLUMNS` that is there.
    """

    path: str
    kind: str
    packed: str
    size: int
    mark: str
    column: str | None = None


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


def file_format(path: Path) -> tuple[str, str]:
    """The format and compression of a file, by its ending in any case; an unknown one is plain text. Raises InputError for binary files."""
    packed = PACKED.get(path.suffix.lower(), "")
    suffix = path.with_suffix("").suffix if packed else path.suffix
    kind = KINDS.get(suffix.lower(), "lines")
    if kind != "parquet" and b"\0" in _first_bytes(path, packed):
        raise InputError(f"{str(path)!r} is a binary file; give texts as UTF-8 text, .csv, .tsv, .jsonl, .parquet or COCO .json")
    return kind, packed


def read_rows(source: Source, part: Part, tell: Tell) -> Iterator[_Row]:
    """The texts of a part, in order. What cannot be read is skipped if `tell` returns. Raises InputError for a column that is not there."""
    match source.kind:
        case "lines":
            for line in _lines(source, part, tell, LONGEST):
                yield from (_Row(line.offset, text) for text in _decoded(source, line, tell))
        case "jsonl":
            yield from _jsonl(source, part, tell)
        case "parquet":
            yield from _table(source, _parquet(source, part, tell), tell)
        case kind if kind == HUB:
            yield from _table(source, enumerate(hub_rows(source.path, part.begin), part.begin << ROW_BITS), tell)
        case kind:
            yield from _table(source, enumerate(_csv(source, kind) if kind in ("csv", "tsv") else _coco(source)), tell)


def text_column(names: Iterable[str], column: str | None, where: str) -> str:
    """The column of texts: `column`, or the first of `TEXT_COLUMNS` among `names`. Raises InputError if it is not there."""
    found = list(map(str, names))
    wanted = TEXT_COLUMNS if column is None else (column,)
    text = next((name for name in wanted if name in found), None)
    if text is None:
        said = repr(column) if column is not None else f"{', '.join(TEXT_COLUMNS[:-1])} or {TEXT_COLUMNS[-1]}"
        raise InputError(f"{where} has no column {said}, it has {', '.join(found) or 'none'}; choose one with FILE::COLUMN or column=")
    return text


def text_picker(names: Collection[str], column: str | None, where: str) -> Callable[[Mapping[str, Any]], tuple[str, str | None]]:
    """A function that takes text and image key out of a row with these columns. It raises InputError for a value that is no text."""
    text, image = text_column(names, column, where), next((name for name in IMAGE_COLUMNS if name in names), None)

    def pick(row: Mapping[str, Any]) -> tuple[str, str | None]:
        value, key = row[text], row.get(image) if image else None
        if not isinstance(value, str | None):
            raise InputError(f"expected text in column {text!r} of {where}, got {type(value).__name__}; choose another column")
        return value or "", None if key is None else str(key)

    return pick


def _lines(source: Source, part: Part, tell: Tell, longest: int | None) -> Iterator[Line]:
    end = part.end if part.end != WHOLE else 1 << PLACE_BITS
    read = 0
    try:
        with _opened(source.path, source.packed) as file:
            for line in lines(file, part.begin, end, longest):
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


def _jsonl(source: Source, part: Part, tell: Tell) -> Iterator[_Row]:
    names, pick = None, None
    for line in _lines(source, part, tell, None):
        for text in _decoded(source, line, tell):
            row = _json(source, line, text, tell)
            if row is None:
                continue
            if pick is None or row.keys() != names:
                names, pick = row.keys(), text_picker(row, source.column, repr(source.path))
            yield from _cut(line.offset, *pick(row))


def _json(source: Source, line: Line, text: str, tell: Tell) -> dict | None:
    try:
        row = json.loads(text) if text.strip() else None
    except ValueError:
        row = text
    if row is None or isinstance(row, dict):
        return row
    tell(f"{source.path} at byte {line.offset}: it is not a JSON object")
    return None


def _table(source: Source, rows: Iterable[tuple[int, dict]], tell: Tell) -> Iterator[_Row]:
    pick, read = None, 0
    try:
        for read, row in rows:
            pick = pick or text_picker([name for name in row if name is not None], source.column, repr(source.path))
            yield from _cut(read << CUT_BITS, *pick(row))
    except BROKEN as error:
        if isinstance(error, InputError):
            raise
        tell(f"{source.path} after row {read} ({_brief(error)})")


def _parquet(source: Source, part: Part, tell: Tell) -> Iterator[tuple[int, dict]]:
    import pyarrow.parquet as parquet

    file = parquet.ParquetFile(source.path)
    groups = range(part.begin, part.end if part.end != WHOLE else file.num_row_groups)
    row = sum(file.metadata.row_group(i).num_rows for i in range(part.begin))
    text = text_column(file.schema_arrow.names, source.column, repr(source.path))
    columns = [name for name in file.schema_arrow.names if name in (text, *IMAGE_COLUMNS)]
    for group in groups:
        count = file.metadata.row_group(group).num_rows
        try:
            for batch in file.iter_batches(row_groups=[group], batch_size=1 << 12, columns=columns):
                yield from enumerate(batch.to_pylist(), start=row)
                row, count = row + len(batch), count - len(batch)
        except (OSError, pa.ArrowException) as error:
            tell(f"{source.path}, row group {group} ({_brief(error)})")
        row += count


def _csv(source: Source, kind: str) -> Iterator[dict]:
    with _opened(source.path, source.packed) as file:
        text = io.TextIOWrapper(cast("io.BufferedReader", file), encoding="utf-8-sig", newline="")
        rows = csv.DictReader(text, delimiter="\t" if kind == "tsv" else ",")
        if rows.fieldnames is not None:
            text_column(rows.fieldnames, source.column, repr(source.path))
        yield from rows


def _coco(source: Source) -> Iterator[dict]:
    with _opened(source.path, source.packed) as file:
        content = json.loads(file.read().removeprefix(BOM))
    rows = content.get("annotations") if isinstance(content, dict) else content
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise InputError(
            f"expected a list of captions under 'annotations' in {source.path!r}; for a JSON object per line, name the file .jsonl"
        )
    yield from rows


def _cut(place: int, text: str, image: str | None) -> Iterator[_Row]:
    """A text in pieces of at most `LONGEST` characters, cut at spaces where there are any."""
    while len(text) > LONGEST:
        edge = text.rfind(" ", 0, LONGEST) + 1 or LONGEST
        yield _Row(place, text[:edge], image)
        place, text = place + 1, text[edge:]
    yield _Row(place, text, image)


def _opened(path: str | Path, packed: str) -> io.BufferedIOBase:
    return cast("io.BufferedIOBase", OPENED[packed](Path(path), "rb"))


def _first_bytes(path: Path, packed: str) -> bytes:
    """The first bytes of a file, decompressed; none if they cannot be read, which is reported when the whole file is."""
    try:
        with _opened(path, packed) as file:
            return file.read(LOOKED)
    except BROKEN:
        return b""


def _brief(error: BaseException) -> str:
    return " ".join(str(error).split())[:120] or type(error).__name__
