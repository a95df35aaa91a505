"""How the sources of a corpus are split into shards of about equal size, each of which is read by itself.

Uncompressed lines and JSON lines are split anywhere, Parquet between row groups, Hub data sets between their own shards; every other file
is one part.
"""

import itertools
from collections.abc import Iterator, Sequence

import pyarrow as pa

from optigram.text.formats import WHOLE, Part, Source
from optigram.text.hub import HUB

SPLITTABLE = ("lines", "jsonl")

Shard = tuple[Part, ...]


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


def _parts(known: Sequence[Source], size: int) -> Iterator[tuple[Part, int]]:
    """Parts and their sizes in bytes, none larger than it must be."""
    for number, source in enumerate(known):
        if source.kind in SPLITTABLE and not source.packed:
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
    import pyarrow.parquet as parquet

    try:
        groups = parquet.ParquetFile(source.path).metadata
    except (OSError, pa.ArrowException):  # reported when it is read, so that --skip-bad may skip it
        yield Part(number, 0, WHOLE), source.size
        return
    yield from ((Part(number, i, i + 1), groups.row_group(i).total_byte_size) for i in range(groups.num_row_groups))
