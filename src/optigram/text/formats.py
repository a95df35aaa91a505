"""Sentences from anywhere, and the n-grams in them.

A source is a text file (a sentence a line), `.jsonl`, `.csv`, `.parquet`, a COCO captions `.json`, or `sampled:N`,
which the caller draws from a model's own language path.
"""

import csv
import itertools
import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from optigram.errors import InputError
from optigram.text.vocabulary import Vocabulary

TEXT_COLUMNS = ("caption", "text", "sentence")
IMAGE_COLUMNS = ("image_id", "image")
SAMPLED = "sampled:"


class Sentence(NamedTuple):
    """A sentence, and the key of the image that it describes, if it describes one."""

    text: str
    image: str | None = None


def sentences(source: str) -> Iterator[Sentence]:
    """Read every sentence of a file, in file order; the ending decides the format, an unknown one is plain text.

    Raises InputError for a missing, unreadable, binary or empty source, before or while it is read.
    """
    path = Path(source)
    if not path.is_file():
        raise InputError(f"no corpus file {source!r}; give a .txt, .csv, .jsonl, .parquet or COCO .json file, or sampled:N")
    if path.suffix != ".parquet":
        _refuse_binary(path)
    read = {".jsonl": _jsonl, ".csv": _csv, ".parquet": _parquet, ".json": _coco}.get(path.suffix, _lines)
    try:
        found = (sentence for sentence in read(path) if sentence.text.strip())
        first = next(found, None)
        if first is None:
            raise InputError(f"the corpus {source!r} is empty; give a file with at least one sentence")
        yield from itertools.chain([first], found)
    except (OSError, UnicodeDecodeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"cannot read {source!r} as {path.suffix or 'text'}: {str(error).splitlines()[0]}") from error


def sampled_count(source: str) -> int | None:
    """The N of `sampled:N`, or None for any other source."""
    if not source.startswith(SAMPLED):
        return None
    count = source.removeprefix(SAMPLED)
    if not count.isdecimal() or int(count) < 1:
        raise InputError(f"expected sampled:N with N at least 1, such as sampled:20000, got {source!r}")
    return int(count)


def ngrams(texts: Iterable[str], vocabulary: Vocabulary, length: int, allowed: np.ndarray) -> np.ndarray:
    """All unique n-grams of `length` allowed words within a sentence, in the order of their ids: int64 [c length].

    Windows never cross a sentence. A sentence shorter than `length` gives none (the authors pad it; section 4.1 of
    their method, and nothing is lost for it but texts that no other method may write).
    """
    windows = []
    for text in texts:
        ids = vocabulary.encode(text)
        windows.extend(ids[i : i + length] for i in range(len(ids) - length + 1))
    if not windows:
        raise InputError(f"no sentence of the corpus has {length} words; give longer sentences or a smaller --length")
    table = np.asarray(windows, dtype=np.int64)
    table = table[np.isin(table, allowed).all(axis=1)]
    if not len(table):
        raise InputError(f"every {length}-gram of the corpus holds a word that the model does not know; is it of its language?")
    return np.unique(table, axis=0)


def _refuse_binary(path: Path) -> None:
    with path.open("rb") as file:
        if b"\0" in file.read(1 << 16):
            raise InputError(f"{str(path)!r} is a binary file; give sentences as text, .csv, .jsonl, .parquet or COCO .json")


def _lines(path: Path) -> Iterator[Sentence]:
    with path.open(encoding="utf-8") as file:
        for line in file:
            yield Sentence(line.rstrip("\r\n"))


def _csv(path: Path) -> Iterator[Sentence]:
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file)
        pick = columns(rows.fieldnames or (), path)
        for row in rows:
            yield pick(row)


def _jsonl(path: Path) -> Iterator[Sentence]:
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                row = json.loads(line)
                if not isinstance(row, dict):
                    raise InputError(f"line {number} of {str(path)!r} is not a JSON object; expected one with a caption or text field")
                yield columns(row, path)(row)


def _parquet(path: Path) -> Iterator[Sentence]:
    import pyarrow.parquet as parquet

    file = parquet.ParquetFile(path)
    names = file.schema_arrow.names
    pick = columns(names, path)
    for batch in file.iter_batches(columns=[name for name in names if name in TEXT_COLUMNS + IMAGE_COLUMNS]):
        yield from map(pick, batch.to_pylist())


def _coco(path: Path) -> Iterator[Sentence]:
    with path.open(encoding="utf-8") as file:
        content = json.load(file)
    rows = content.get("annotations") if isinstance(content, dict) else content
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise InputError(f"{str(path)!r} is no COCO captions file: expected a list under 'annotations'; for one object a line use .jsonl")
    for row in rows:
        yield columns(row, path)(row)


def columns(names: Iterable[str], path: Path) -> Callable[[dict], Sentence]:
    """How to pick the sentence and the image out of a row with these columns."""
    found = set(names)
    text = next((name for name in TEXT_COLUMNS if name in found), None)
    if text is None:
        raise InputError(f"{str(path)!r} has no column {', '.join(TEXT_COLUMNS[:-1])} or {TEXT_COLUMNS[-1]}; it has {sorted(found)}")
    image = next((name for name in IMAGE_COLUMNS if name in found), None)

    def pick(row: dict) -> Sentence:
        key = row.get(image) if image else None
        return Sentence(str(row[text] or ""), None if key is None else str(key))

    return pick
