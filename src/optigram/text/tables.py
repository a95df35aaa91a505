"""The rows of table files: CSV and TSV, Parquet and COCO captions. What cannot be read is told, row by row where possible."""

import contextlib
import csv
import io
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

import pyarrow as pa
import pyarrow.parquet as parquet

from optigram.errors import InputError
from optigram.files import parse_json
from optigram.text.columns import IMAGE_COLUMNS, TEXT_COLUMNS, TextColumn
from optigram.text.packed import BOM, BROKEN, PackedFile

LARGEST = 1 << 27  # characters of a CSV field
SEPARATORS = {"csv": ",", "tsv": "\t"}
TEXTS = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view, pa.types.is_null)
TEXTS += (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view, pa.types.is_fixed_size_binary)
Row = Mapping[str, Any]
Tell = Callable[[str], None]  # called with what cannot be read


@dataclass(frozen=True)
class TableFile:
    """A file of rows, of the kind csv, tsv, jsonl, parquet or coco. Its texts are in `column`; None: in the first that is known."""

    path: str
    packed: str
    kind: str
    column: str | None

    def text_column(self) -> TextColumn | None:
        """The column of texts, or None where there is no row, or none that can be read, which is told when the rows are.

        Of JSON it is looked for in the first row that has one. Raises InputError where there is none, or it holds no text.
        """
        try:
            names = self._names()
        except BROKEN as error:
            if isinstance(error, InputError):
                raise
            return None
        if names is None:
            return None
        found = TextColumn.among(names, self.column, repr(self.path))
        if self.kind == "parquet":
            self._check_type(found.name)
        return found

    def rows(self, begin: int, end: int | None, tell: Tell) -> Iterator[tuple[int, Row]]:
        """The rows by number; of Parquet those of the row groups [begin, end), of other kinds all."""
        match self.kind:
            case "parquet":
                yield from self._parquet(begin, end, tell)
            case "coco":
                yield from enumerate(self._coco())
            case _:
                yield from self._separated(tell)

    def _names(self) -> list[str] | None:
        if self.kind in SEPARATORS:
            with self._csv() as rows:
                return next(rows, [])
        if self.kind == "parquet":
            return parquet.read_schema(self.path).names
        first, wanted = None, TEXT_COLUMNS if self.column is None else (self.column,)
        for row in _first_objects(PackedFile(self.path, self.packed).first()) if self.kind == "jsonl" else self._coco():
            first = first or list(row)
            if not row.keys().isdisjoint(wanted):
                return list(row)
        return first

    def _check_type(self, column: str) -> None:
        kind = parquet.read_schema(self.path).field(column).type
        kind = kind.value_type if pa.types.is_dictionary(kind) else kind
        if not any(is_(kind) for is_ in TEXTS):
            raise InputError(
                f"expected text in column {column!r} of {self.path!r}, got {str(kind)[:60]}; choose another column with FILE::COLUMN"
            )

    @contextlib.contextmanager
    def _csv(self) -> Iterator[Iterator[list[str]]]:
        """The rows of a CSV file, with the header."""
        csv.field_size_limit(max(csv.field_size_limit(), LARGEST))  # of the whole process, and only ever raised
        file = cast("io.BufferedReader", PackedFile(self.path, self.packed).open())
        with file, io.TextIOWrapper(file, encoding="utf-8-sig", newline="") as text:
            yield csv.reader(text, delimiter=SEPARATORS[self.kind], strict=True)

    def _separated(self, tell: Tell) -> Iterator[tuple[int, Row]]:
        """The rows of a CSV file; numbers count the bad ones too: those with more fields than the header, or a quote out of place."""
        number = 0
        with self._csv() as rows:
            names = next(rows, [])
            while True:
                try:
                    row = next(rows, None)
                    if row is None:
                        return
                    if len(row) > len(names):
                        told = f"{len(row)} fields, but {len(names)} in the header; put quotes around text with commas"
                        tell(f"{self.path} at row {number} ({told})")
                    elif row:
                        yield number, dict(zip(names, row, strict=False))
                except csv.Error as error:
                    tell(f"{self.path} at row {number} ({error})")
                number += 1

    def _coco(self) -> list[Row]:
        """The rows under `annotations`, or of a list."""
        with PackedFile(self.path, self.packed).open() as file:
            content = parse_json(file.read().removeprefix(BOM))
        rows = content.get("annotations") if isinstance(content, dict) else content
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise InputError(
                f"expected a list of captions under 'annotations' in {self.path!r}; for a JSON object per line, name the file .jsonl"
            )
        return rows

    def _parquet(self, begin: int, end: int | None, tell: Tell) -> Iterator[tuple[int, Row]]:
        """The rows of row groups, with the texts and the keys of images alone."""
        file = parquet.ParquetFile(self.path)
        row = sum(file.metadata.row_group(group).num_rows for group in range(begin))
        names = file.schema_arrow.names
        read = (TextColumn.among(names, self.column, repr(self.path)).name, *IMAGE_COLUMNS)
        for group in range(begin, file.num_row_groups if end is None else end):
            count = file.metadata.row_group(group).num_rows
            try:
                for batch in file.iter_batches(row_groups=[group], batch_size=1 << 12, columns=[name for name in names if name in read]):
                    yield from enumerate(batch.to_pylist(), start=row)
                    row, count = row + len(batch), count - len(batch)
            except (OSError, pa.ArrowException) as error:
                tell(f"{self.path}, row group {group} ({' '.join(str(error).split())[:160]})")
            row += count


def _first_objects(data: bytes) -> Iterator[Row]:
    """The JSON objects in the lines of the first bytes of a file."""
    for line in data.removeprefix(BOM).splitlines():
        with contextlib.suppress(ValueError):
            if isinstance(row := parse_json(line), dict):
                yield row
