"""Texts that a user gives as Python objects: lists, generators, data sets and data frames, each readable again and again."""

import json
import tempfile
import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from optigram.errors import InputError
from optigram.text.formats import text_column, text_picker

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

    def __init__(self, data: Any, column: str | None) -> None:
        self.data, self.column = data, column

    def __len__(self) -> int:
        return len(self.data)

    def __iter__(self) -> Iterator[str]:
        yield from _texts(self.data, self.column)


def held_texts(corpus: Any, column: str | None) -> "Sequence[str | Path] | _Kept | _Rows":
    """The texts of an iterable, or the Paths. Raises InputError if it holds anything else."""
    if hasattr(corpus, "columns") and not isinstance(corpus, Mapping):  # a data frame of pandas or polars
        name = text_column(map(str, corpus.columns), column, "the data frame")
        return tuple(_texts(corpus[name], None))
    if isinstance(corpus, Mapping):
        raise InputError(f"{EXPECTED}, got {type(corpus).__name__} with {', '.join(map(str, list(corpus)[:5]))}; give one of them")
    if isinstance(corpus, bytes | bytearray) or not isinstance(corpus, Iterable):
        raise InputError(f"{EXPECTED}, got {type(corpus).__name__}")
    if isinstance(corpus, Sequence):
        return tuple(_items(corpus, column))
    if names := getattr(corpus, "column_names", None):  # of `datasets`: without the other columns, which may be images
        data: Any = corpus
        rows = data.select_columns([text_column(names, column, "the data set")])
        if hasattr(rows, "__len__"):
            return _Rows(rows, column)
        corpus = rows
    items = iter(_items(corpus, column))
    first = next(items, None)
    if isinstance(first, Path):
        return (first, *items)
    return _Kept(_texts([] if first is None else _chained(first, items), None))


def _chained(first: Any, rest: Iterator[Any]) -> Iterator[Any]:
    yield first
    yield from rest


def _texts(items: Iterable[Any], column: str | None) -> Iterator[str]:
    for item in _items(items, column):
        if isinstance(item, Path):
            raise InputError(f"expected texts or Paths, got both, such as {str(item)!r}; give two corpora")
        yield item


def _items(items: Iterable[Any], column: str | None) -> Iterator[str | Path]:
    """Strings, Paths, and the texts of rows."""
    names, pick = None, None
    for number, item in enumerate(items):
        if isinstance(item, str | Path):
            yield item
            continue
        if not isinstance(item, Mapping):
            raise InputError(f"expected texts, Paths or rows in the corpus, got {type(item).__name__} as item {number}")
        if pick is None or item.keys() != names:
            names, pick = item.keys(), text_picker(item, column, "the data set")
        yield pick(item)[0]
