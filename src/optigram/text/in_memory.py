"""Texts that a user gives as Python objects: lists, generators, data sets and data frames, each readable again and again."""

import itertools
import json
import tempfile
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from optigram.errors import InputError
from optigram.text.columns import TextColumn

MEMORY, MOST = 1 << 26, 1 << 30  # bytes of texts from an iterable that are kept in memory, and on disk
EXPECTED = "expected a path, texts, Paths or a data set as corpus"


class _Kept:
    """Texts of an iterable that can be read only once, as JSON lines in memory or in a temporary file."""

    def __init__(self, texts: Iterable[str]) -> None:
        self.count, size = 0, 0
        self.file = tempfile.SpooledTemporaryFile(max_size=MEMORY)  # noqa: SIM115 - closed when the texts are collected
        weakref.finalize(self, self.file.close)
        for text in texts:
            line = json.dumps(text).encode() + b"\n"
            size += len(line)
            if size > MOST:
                raise InputError(
                    f"expected an iterable of at most {MOST >> 20:,} MB of texts, got more; give a file, hf:NAME or fewer texts"
                )
            self.file.write(line)
            self.count += 1

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[str]:
        place = 0
        while True:  # readers may take turns, so each knows its own place
            self.file.seek(place)
            block = self.file.readlines(1 << 20)
            place = self.file.tell()
            if not block:
                return
            yield from map(json.loads, block)


class _Rows:
    """One column of a data set that can be read again, such as `datasets.Dataset`."""

    def __init__(self, data: Any, column: TextColumn) -> None:
        self.data, self.column = data, column

    def __len__(self) -> int:
        return len(self.data)

    def __iter__(self) -> Iterator[str]:
        return _texts(self.data, self.column, "the data set")


def held_texts(corpus: Any, column: str | None, remark: Callable[[str], None]) -> "Sequence[str | Path] | _Kept | _Rows":
    """The texts of an iterable, or its Paths. `remark` is told of a column that was chosen. Raises InputError if it holds anything else."""
    if hasattr(corpus, "columns") and not isinstance(corpus, Mapping):  # a data frame of pandas or polars
        found = _column(map(str, corpus.columns), column, "the data frame", remark)
        return tuple(_texts(({found.name: text} for text in corpus[found.name]), found, "the data frame"))
    if isinstance(corpus, Mapping):
        raise InputError(f"{EXPECTED}, got {type(corpus).__name__} with {', '.join(map(str, list(corpus)[:5]))}; give one of them")
    if isinstance(corpus, bytes | bytearray) or not isinstance(corpus, Iterable):
        raise InputError(f"{EXPECTED}, got {type(corpus).__name__}")
    if names := getattr(corpus, "column_names", None):  # of `datasets`: without the other columns, which may be images
        found, data = _column(names, column, "the data set", remark), cast("Any", corpus)
        rows = data.select_columns([found.name])
        return _Rows(rows, found) if hasattr(rows, "__len__") else _Kept(_texts(rows, found, "the data set"))
    items = iter(corpus)
    begun = list(itertools.islice(items, 1))
    first, items = begun[0] if begun else "", itertools.chain(begun, items)
    if isinstance(first, Path):
        return tuple(_paths(items))
    found = _column(first, column, "the corpus", remark) if isinstance(first, Mapping) else None
    texts = _texts(items, found, "the corpus")
    return tuple(texts) if isinstance(corpus, Sequence) else _Kept(texts)


def _column(names: Iterable[object], column: str | None, where: str, remark: Callable[[str], None]) -> TextColumn:
    found = TextColumn.among(names, column, where)
    for said in found.remarks(where):
        remark(said)
    return found


def _paths(items: Iterable[Any]) -> Iterator[Path]:
    for item in items:
        if not isinstance(item, Path):
            raise InputError(f"expected texts or Paths, got both, such as {item!r:.60}; give one kind")
        yield item


def _texts(items: Iterable[Any], column: TextColumn | None, where: str) -> Iterator[str]:
    """Strings, and the texts of rows."""
    for number, item in enumerate(items):
        if isinstance(item, Path):
            raise InputError(f"expected texts or Paths, got both, such as {str(item)!r}; give two corpora")
        try:
            if isinstance(item, Mapping):
                if column is None:
                    raise ValueError("expected a text, got a row")
                yield column.pick(item)[0]
            elif isinstance(item, str):
                yield TextColumn.checked(item)
            else:
                raise ValueError(f"expected a text, a Path or a row, got {type(item).__name__}")
        except ValueError as error:
            raise InputError(f"item {number} of {where}: {error}") from error
