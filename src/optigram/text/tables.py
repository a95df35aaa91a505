"""The rows of table files: CSV and TSV, JSON lines, Parquet and COCO captions. What cannot be read is told, row by row where possible."""

import contextlib
import csv
import io
from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast

import pyarrow as pa
import pyarrow.parquet as parquet

from optigram.errors import InputError
from optigram.files import parse_json
from optigram.text.columns import IMAGE_COLUMNS, TEXT_COLUMNS, text_columns
from optigram.text.packed import BOM, BROKEN, brief, first_bytes, opened

LARGEST = 1 << 27  # characters of a CSV field
SEPARATORS = {"csv": ",", "tsv": "\t"}
Row = Mapping[str, Any]
Tell = Callable[[str], None]  # called with what cannot be read


def column_names(path: str, packed: str, kind: str, column: str | None) -> list[str] | None:
    """The columns of a table file; None where it cannot be read, which is told when its rows are, or has no row at its beginning.

    Of JSON they are those of the first row with `column`, or one of `TEXT_COLUMNS`; or else of the first row.
    """
    try:
        if kind in SEPARATORS:
            with _csv(path, packed, kind) as rows:
                return next(rows, [])
        if kind == "parquet":
            return parquet.read_schema(path).names
        rows = _first_objects(first_bytes(path, packed)) if kind == "jsonl" else coco_rows(path, packed)
    except BROKEN as error:
        if isinstance(error, InputError):
            raise
        return None
    first, wanted = None, TEXT_COLUMNS if column is None else (column,)
    for row in rows:
        first = first or list(row)
        if not row.keys().isdisjoint(wanted):
            return list(row)
    return first


def check_type(path: str, column: str) -> None:
    """Raise InputError unless a column of a Parquet file holds text, or bytes, which are read as UTF-8."""
    found = parquet.read_schema(path).field(column).type
    found = found.value_type if pa.types.is_dictionary(found) else found
    known = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view, pa.types.is_null)
    known += (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view, pa.types.is_fixed_size_binary)
    if not any(is_(found) for is_ in known):
        raise InputError(f"expected text in column {column!r} of {path!r}, got {str(found)[:60]}; choose another column with FILE::COLUMN")


def csv_rows(path: str, packed: str, kind: str, tell: Tell) -> Iterator[tuple[int, Row]]:
    """The rows by number, which counts the bad ones too: those that have more fields than the header, or a quote out of place."""
    number = 0
    with _csv(path, packed, kind) as rows:
        names = next(rows, [])
        while True:
            try:
                row = next(rows, None)
                if row is None:
                    return
                if len(row) > len(names):
                    tell(f"{path} at row {number} ({len(row)} fields, but {len(names)} in the header; put quotes around text with commas)")
                elif row:
                    yield number, dict(zip(names, row, strict=False))
            except csv.Error as error:
                tell(f"{path} at row {number} ({error})")
            number += 1


def coco_rows(path: str, packed: str) -> list[Row]:
    """The rows under `annotations`, or of a list. Raises InputError for anything else."""
    with opened(path, packed) as file:
        content = parse_json(file.read().removeprefix(BOM))
    rows = content.get("annotations") if isinstance(content, dict) else content
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise InputError(f"expected a list of captions under 'annotations' in {path!r}; for a JSON object per line, name the file .jsonl")
    return rows


def parquet_rows(path: str, column: str | None, begin: int, end: int | None, tell: Tell) -> Iterator[tuple[int, Row]]:
    """The rows of row groups [begin, end) by number, with the texts and the keys of images alone."""
    file = parquet.ParquetFile(path)
    row = sum(file.metadata.row_group(group).num_rows for group in range(begin))
    names = file.schema_arrow.names
    columns = [name for name in names if name in (text_columns(names, column, repr(path))[0], *IMAGE_COLUMNS)]
    for group in range(begin, file.num_row_groups if end is None else end):
        count = file.metadata.row_group(group).num_rows
        try:
            for batch in file.iter_batches(row_groups=[group], batch_size=1 << 12, columns=columns):
                yield from enumerate(batch.to_pylist(), start=row)
                row, count = row + len(batch), count - len(batch)
        except (OSError, pa.ArrowException) as error:
            tell(f"{path}, row group {group} ({brief(error)})")
        row += count


@contextlib.contextmanager
def _csv(path: str, packed: str, kind: str) -> Iterator[Iterator[list[str]]]:
    """The rows of a file, with the header."""
    csv.field_size_limit(max(csv.field_size_limit(), LARGEST))  # of the whole process, and only ever raised
    with opened(path, packed) as file, io.TextIOWrapper(cast("io.BufferedReader", file), encoding="utf-8-sig", newline="") as text:
        yield csv.reader(text, delimiter=SEPARATORS[kind], strict=True)


def _first_objects(data: bytes) -> Iterator[Row]:
    """The JSON objects in the lines of the first bytes of a file."""
    for line in data.removeprefix(BOM).splitlines():
        with contextlib.suppress(ValueError):
            if isinstance(row := parse_json(line), dict):
                yield row
