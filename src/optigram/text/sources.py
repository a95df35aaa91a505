"""`open_corpus` opens the texts that a user names or gives: files, globs, Hub data sets, and Python objects that hold texts."""

import functools
import glob
import hashlib
import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from optigram.errors import InputError
from optigram.files import is_file
from optigram.text.columns import TextColumn
from optigram.text.documents import Document
from optigram.text.formats import KINDS, Source
from optigram.text.hub import HUB, HubData
from optigram.text.in_memory import held_texts
from optigram.text.packed import PACKED
from optigram.text.shards import shards
from optigram.text.tables import TableFile

SAMPLED, MOST_SAMPLED = "sampled:", 10_000_000
COLUMN = "::"
SAMPLE, SAMPLES = 1 << 16, 16  # bytes that are hashed at one place of a file, and places
LOOKED = 32  # strings of a list that are held against the names of files


@dataclass(frozen=True)
class Corpus:
    """Texts, which are read again whenever they are wanted: of `sources`, or `held` in memory. `name` says where they are from.

    `remarks` are what a user should know of how they are read.
    """

    name: str
    sources: tuple[Source, ...] = ()
    held: Iterable[str] = field(default=(), repr=False, compare=False)
    remarks: tuple[str, ...] = field(default=(), repr=False, compare=False)

    @classmethod
    def of(cls, names: Sequence[str], column: str | None = None) -> "Corpus":
        """The corpus of files, globs and `hf:NAME`. Raises InputError where there are none."""
        found = _sources(names, column)
        shown = " + ".join(names[:3]) + (f" + {len(names) - 3} more" if names[3:] else "")
        chosen = {(source.column, source.others): source for source in reversed(found) if source.column is not None and source.others}
        remarks = [TextColumn(str(text), (others,)).remarks(repr(source.path)) for (text, others), source in chosen.items()]
        return cls(shown, found, (), tuple(itertools.chain.from_iterable(remarks)))

    def documents(self) -> Iterator[Document]:
        """All documents, in order. Raises InputError for what cannot be read, and where there is no text at all."""
        found = self._documents()
        first = next(found, None)
        if first is None:
            raise InputError(f"the corpus {self.name!r} is empty; give at least one text")
        yield first
        yield from found

    def texts(self) -> Iterator[str]:
        """Their texts."""
        return (document.text for document in self.documents())

    @functools.cached_property
    def fingerprint(self) -> str:
        """A hash of all texts in their order."""
        found = hashlib.sha256()
        for text in self.texts():
            found.update(text.encode() + b"\n")
        return found.hexdigest()

    def _documents(self) -> Iterator[Document]:
        for part in shards(self.sources, 1, 1)[0]:
            yield from Document.all_of(self.sources, part)
        yield from (Document(number, text) for number, text in enumerate(self.held) if text.strip())


def sampled_count(source: Any) -> int | None:
    """The N of `sampled:N`, or None for any other corpus. Raises InputError for an N out of range."""
    if not isinstance(source, str) or not source.startswith(SAMPLED):
        return None
    count = source.removeprefix(SAMPLED)
    if not count.isdecimal() or len(count) > len(str(MOST_SAMPLED)) or not 1 <= int(count) <= MOST_SAMPLED:
        raise InputError(f"expected sampled:N with N from 1 to {MOST_SAMPLED:,}, such as sampled:20000, got {source!r:.60}")
    return int(count)


def changed(source: Source) -> bool:
    """Whether a file has changed since the plan was made: its length, or bytes from 16 places of it."""
    if source.kind == HUB:
        return False
    path = Path(source.path)
    return not is_file(path) or path.stat().st_size != source.size or _mark(path) != source.mark


def open_corpus(corpus: Any, column: str | None = None) -> Corpus:
    """The corpus that is named or given. `corpus` is one of

    - a string or Path: a file, a glob, or `hf:NAME[@REVISION][:SPLIT]`; with `FILE::COLUMN` the texts are in that column;
    - an iterable of texts (a list, a generator, a column of a data frame), of Paths, or of rows with a column of text (a `datasets` data
      set, a data frame); what can be read only once is kept, up to 1 GB;
    - a Corpus, which is returned.

    Without `column` texts are in the first of the columns caption, text and sentence. Raises InputError for anything else.
    """
    if isinstance(corpus, Corpus):
        return corpus
    if isinstance(corpus, str | Path):
        return Corpus.of([str(corpus)], column)
    remarks: list[str] = []
    items = held_texts(corpus, column, remarks.append)
    if not isinstance(items, Sequence):
        return Corpus(f"{len(items):,} texts", held=items, remarks=tuple(remarks))
    texts = tuple(item for item in items if isinstance(item, str))
    if len(texts) < len(items):
        return Corpus.of([str(path) for path in items], column)
    if texts and all(map(_names_a_file, texts[:LOOKED])):
        raise InputError(
            f"a list of strings is a list of texts, got what looks like the name of a file, {texts[0]!r}; give Path({texts[0]!r})"
        )
    return Corpus(f"{len(texts):,} texts", held=texts, remarks=tuple(remarks))


def _sources(names: Sequence[str], column: str | None = None) -> tuple[Source, ...]:
    """The sources that names, globs and `hf:NAME` stand for, in order, each once. Raises InputError where there are none.

    `column` holds the texts in all that do not name their own with `::COLUMN`.
    """
    found = {source.path: source for name in names for source in _named(name, column)}
    if not found:
        raise InputError("expected a corpus; give --corpus FILE")
    return tuple(found.values())


def _names_a_file(text: str) -> bool:
    if len(text) > 1024 or "\n" in text or "\0" in text:
        return False
    path = Path(text)
    ends = path.suffix.lower() in {*KINDS, *PACKED, ".txt"} and " " not in text
    return text.startswith(HUB) or ends or is_file(path)


def _named(name: str, column: str | None) -> Iterator[Source]:
    if name.startswith(SAMPLED):
        raise InputError(f"expected files, got {name!r}; sample texts with `optigram find`, or in Python, and give a file")
    if COLUMN in name and not is_file(name):
        name, _, column = name.rpartition(COLUMN)
    if name.startswith(HUB):
        data = HubData(name)
        text = None if data.columns is None else TextColumn.among(data.columns, column, repr(name))
        yield _with_column(Source(name, HUB, "", data.shards, data.mark, column), text)
        return
    globbed = glob.glob(name, recursive=True)  # noqa: PTH207 - a pattern may be absolute, which Path.glob refuses
    paths = [name] if is_file(name) else sorted(filter(is_file, globbed))
    if not paths:
        raise InputError(
            f"no corpus file {name!r}; give text, .csv, .tsv, .jsonl, .parquet or COCO .json files, compressed or not, or hf:NAME"
        )
    for path in map(Path, paths):
        yield _file(path, column)


def _file(path: Path, column: str | None) -> Source:
    try:
        kind, packed = Source.format_of(path)
        source = Source(str(path), kind, packed, path.stat().st_size, _mark(path), column)
    except OSError as error:
        raise InputError(f"cannot read {str(path)!r} ({error.strerror})") from error
    if kind != "lines":
        return _with_column(source, TableFile(source.path, packed, kind, column).text_column())
    if column is not None:
        raise InputError(f"{str(path)!r} is plain text, which has no column {column!r}; leave the column out")
    return source


def _with_column(source: Source, found: TextColumn | None) -> Source:
    """The source with its column of texts, where that is known before its rows are read."""
    return source if found is None else source._replace(column=found.name, others=", ".join(found.others))


def _mark(path: Path) -> str:
    """A hash of a file: of all its bytes if it is small, else of bytes from `SAMPLES` places."""
    found, size = hashlib.sha256(), path.stat().st_size
    with path.open("rb") as file:
        if size <= SAMPLE * SAMPLES:
            return hashlib.sha256(file.read()).hexdigest()[:32]
        for number in range(SAMPLES):
            file.seek((size - SAMPLE) * number // (SAMPLES - 1))
            found.update(file.read(SAMPLE))
    return found.hexdigest()[:32]
