"""What a corpus is made of: files (globs, compressed ones) and Hub data sets, and how they are cut into shards.

Lines and JSON lines that are not compressed are cut anywhere, Parquet between row groups, Hub data sets between their own
shards; every other file is one part.
"""

import glob
import hashlib
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from optigram.errors import InputError
from optigram.text.formats import SAMPLED
from optigram.text.hub import HUB, hub_shards

KINDS = {".jsonl": "jsonl", ".csv": "csv", ".parquet": "parquet", ".json": "coco"}
PACKED = {".gz": "gzip", ".bz2": "bz2", ".xz": "xz"}
CUT = ("lines", "jsonl")
SAMPLE, SAMPLES = 1 << 16, 16  # bytes that are hashed in one place of a file, and places
WHOLE = -1


class Source(NamedTuple):
    """A file or Hub data set. `kind` is how it is read, `packed` how it is compressed ("": not); `mark` tells when it has changed."""

    path: str
    kind: str
    packed: str
    size: int
    mark: str


class Part(NamedTuple):
    """What a worker reads of a source, by its number: lines that begin at bytes [begin, end), row groups, or shards of the Hub."""

    source: int
    begin: int
    end: int


Shard = tuple[Part, ...]


def sources(corpora: Sequence[str]) -> tuple[Source, ...]:
    """The sources that names, globs and `hf:NAME` stand for, in order, each once. Raises InputError where there are none."""
    found = [source for name in corpora for source in _named(name)]
    once = {source.path: source for source in found}
    if not once:
        raise InputError("expected a corpus; give --corpus FILE")
    return tuple(once.values())


def shards(known: Sequence[Source], count: int | None, size: int) -> tuple[Shard, ...]:
    """Parts of about equal size in `count` shards, or in as many as have about `size` bytes each, in the order of the corpus."""
    if count is not None:
        size = max(-(-sum(source.size for source in known) // count), 1)
    made: list[list[Part]] = [[]]
    filled = 0
    for part, weight in _parts(known, size):
        if made[-1] and filled + weight // 2 >= size and (count is None or len(made) < count):
            made.append([])
            filled = 0
        made[-1].append(part)
        filled += weight
    made += [[] for _ in range((count or 0) - len(made))]
    return tuple(map(tuple, made))


def changed(source: Source) -> bool:
    """Whether a file is no longer what it was when the plan was made: its length, or bytes from 16 places of it."""
    if source.kind == HUB:
        return False
    path = Path(source.path)
    return not path.is_file() or path.stat().st_size != source.size or _mark(path) != source.mark


def _named(name: str) -> Iterator[Source]:
    if name.startswith(SAMPLED):
        raise InputError(f"a scan reads files, got {name!r}; sample with `optigram find`, or give --corpus FILE")
    if name.startswith(HUB):
        count, mark = hub_shards(name)
        yield Source(name, HUB, "", count, mark)
        return
    globbed = glob.glob(name, recursive=True)  # noqa: PTH207 - a pattern may be absolute, which Path.glob refuses
    paths = [name] if Path(name).is_file() else sorted(path for path in globbed if Path(path).is_file())
    if not paths:
        raise InputError(f"no corpus file {name!r}; give text, .csv, .jsonl, .parquet or COCO .json files, compressed or not, or hf:NAME")
    for path in map(Path, paths):
        packed = PACKED.get(path.suffix, "")
        suffix = path.with_suffix("").suffix if packed else path.suffix
        yield Source(str(path), KINDS.get(suffix, "lines"), packed, path.stat().st_size, _mark(path))


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


def _parts(known: Sequence[Source], size: int) -> Iterator[tuple[Part, int]]:
    """Parts and their sizes in bytes, none larger than it must be."""
    for number, source in enumerate(known):
        if source.kind in CUT and not source.packed:
            count = max(round(source.size / size), 1)
            edges = [source.size * i // count for i in range(count + 1)]
            yield from ((Part(number, begin, end), end - begin) for begin, end in itertools.pairwise(edges))
        elif source.kind == "parquet" and not source.packed:
            yield from _row_groups(number, source)
        elif source.kind == HUB:
            yield from ((Part(number, i, i + 1), size) for i in range(source.size))
        else:
            yield Part(number, 0, WHOLE), source.size


def _row_groups(number: int, source: Source) -> Iterator[tuple[Part, int]]:
    import pyarrow as pa
    import pyarrow.parquet as parquet

    try:
        groups = parquet.ParquetFile(source.path).metadata
    except (OSError, pa.ArrowInvalid):  # told of when it is read, so that --skip-bad may pass over it
        yield Part(number, 0, WHOLE), source.size
        return
    yield from ((Part(number, i, i + 1), groups.row_group(i).total_byte_size) for i in range(groups.num_row_groups))
