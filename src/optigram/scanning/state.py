"""The state of a scan: the best places at both ends and the statistics, merged in any order, kept as one Parquet file."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet

from optigram.errors import InputError
from optigram.files import parse_json, written_whole
from optigram.scanning.statistics import Statistics
from optigram.scanning.top_places import LEAST, Entries, TopPlaces

ABOUT = b"optigram"
PER_TARGET = ("broken", "sums", "histogram", "best", "values")
SHARED = ("count", "broken_in", "tokens", "priority", "document", "position")
ENDS = ("top", "bottom")
COMPRESSIBLE = (
    "target",
    "histogram",
    "top_document",
    "bottom_document",
    "top_position",
    "bottom_position",
)  # hashes and activations are not


@dataclass(frozen=True)
class State:
    """What is known after some shards. `plan` is the key of the plan; states of different plans are never merged.

    `shards` are the numbers of those that were read, `targets` the addresses, `documents` and `tokens` how many were read,
    `skipped` what could not be read, `seconds` the time of all workers together.
    """

    plan: str
    targets: tuple[str, ...]
    shards: tuple[int, ...]
    top: TopPlaces
    bottom: TopPlaces
    statistics: Statistics
    documents: int
    tokens: int
    skipped: tuple[str, ...]
    seconds: float

    def write(self, path: Path) -> None:
        """Write one row per target, and what belongs to no target into the metadata of the file. The file is written whole."""
        rows = {f"{end}_{field.name}": getattr(getattr(self, end), field.name) for end in ENDS for field in fields(TopPlaces)}
        rows |= {name: getattr(self.statistics, name) for name in PER_TARGET}
        arrays: dict[str, pa.Array] = {"target": pa.array(self.targets)} | {name: _bytes(values) for name, values in rows.items()}
        kinds = {name: values.dtype.str for name, values in rows.items()}
        about = {name: getattr(self, name) for name in ("plan", "shards", "documents", "tokens", "skipped", "seconds")}
        about["kinds"] = kinds
        about["statistics"] = {name: np.asarray(getattr(self.statistics, name)).tolist() for name in SHARED}
        table = pa.table(arrays).replace_schema_metadata({ABOUT: json.dumps(about).encode()})
        with written_whole(path) as temporary:
            packed = {name: "zstd" if name in COMPRESSIBLE else "none" for name in arrays}
            parquet.write_table(table, temporary, compression=packed, use_dictionary=False)  # pyright: ignore[reportArgumentType] - stubs

    @classmethod
    def read(cls, path: Path) -> "State":
        """The state that `write` wrote. Raises InputError for anything else."""
        try:
            with parquet.ParquetFile(path, memory_map=True) as file:
                table = file.read(use_threads=False)
            about = parse_json((table.schema.metadata or {})[ABOUT])
            rows = {name: _array(table, name, kind) for name, kind in about["kinds"].items()}
            ends = {end: TopPlaces(*(rows[f"{end}_{field.name}"] for field in fields(TopPlaces))) for end in ENDS}
            return cls(
                about["plan"],
                tuple(table["target"].to_pylist()),
                tuple(about["shards"]),
                ends["top"],
                ends["bottom"],
                _statistics(rows, about["statistics"]),
                about["documents"],
                about["tokens"],
                tuple(about["skipped"]),
                about["seconds"],
            )
        except (OSError, pa.ArrowException, KeyError, ValueError, TypeError, AttributeError) as error:
            raise InputError(
                f"{path} is no part of a scan of this version ({str(error)[:80]}); remove it to read its shard again"
            ) from error

    @classmethod
    def merged(cls, states: "Iterable[State]", sample: int) -> "State":
        """All states together, one after the other, in the memory of two: of each only what can still matter is looked at.

        Their order changes nothing but the last bits of `Statistics.sums`. None of them is changed.

        Raises InputError for states of different plans, or that have a shard in common, and where there is none.
        """
        rest = iter(states)
        first = next(rest, None)
        if first is None:
            raise InputError("expected at least one part of a scan, got none")
        ends, statistics, found = (_Places(first.top), _Places(first.bottom)), _Statistics(first.statistics, sample), first
        for state in rest:
            _check(found, state)
            for end, places in zip(ends, (state.top, state.bottom), strict=True):
                end.add(places)
            statistics.add(state.statistics)
            found = replace(
                found,
                shards=tuple(sorted(found.shards + state.shards)),
                documents=found.documents + state.documents,
                tokens=found.tokens + state.tokens,
                skipped=tuple(sorted({*found.skipped, *state.skipped})),
                seconds=found.seconds + state.seconds,
            )
        top, bottom = (end.ranked() for end in ends)
        return replace(found, top=top, bottom=bottom, statistics=statistics.whole())


def _check(one: State, other: State) -> None:
    if one.plan != other.plan or one.targets != other.targets:
        raise InputError("these parts are of different scans: model, targets, corpus or settings differ; merge those of one plan")
    if common := set(one.shards) & set(other.shards):
        raise InputError(f"shard {min(common)} is in two of these parts, and would count twice; merge each shard once")


class _Places:
    """The best places so far, and those of later states that may be better, which are ranked when they are many."""

    def __init__(self, first: TopPlaces) -> None:
        self.best, self.waiting, self.count = first.copied(), [], 0
        self.enough = max(LEAST, first.score.size)

    def add(self, other: TopPlaces) -> None:
        """Take the places that reach the edge."""
        found = other.reaching(self.best.edge)
        self.waiting.append(found)
        self.count += len(found)
        if self.count >= self.enough:
            self.ranked()

    def ranked(self) -> TopPlaces:
        """The best places of all states so far."""
        if self.count:
            self.best.add(Entries.joined(self.waiting))
        self.waiting, self.count = [], 0
        return self.best


class _Statistics:
    """The statistics so far, and those places of later samples that may be drawn, which are joined when they are many."""

    def __init__(self, first: Statistics, most: int) -> None:
        self.seen, self.most = first.sampled(most).copied(), most
        self.nearest = self.seen.priority
        self.places: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
        self.values: list[np.ndarray] = []

    def add(self, other: Statistics) -> None:
        """Count what another state has seen."""
        self.seen.count_in(other)
        drawn = np.nonzero(other.priority <= Statistics.edge(self.nearest, self.most))[0]
        if len(drawn):
            self.places.append((other.priority[drawn], other.document[drawn], other.position[drawn]))
            self.values.append(other.values[:, drawn])
            self.nearest = np.sort(np.concatenate([self.nearest, other.priority[drawn]]))[: self.most]
        if sum(part.shape[1] for part in self.values) > self.most:
            self.whole()

    def whole(self) -> Statistics:
        """The statistics of all states so far."""
        if self.places:
            self.seen = self.seen.with_places(self.places, np.concatenate(self.values, axis=1), self.most)
        self.places, self.values = [], []
        return self.seen


def _statistics(rows: Mapping[str, np.ndarray], shared: Mapping[str, Any]) -> Statistics:
    broken, sums, histogram, best, values = (rows[name] for name in PER_TARGET)
    broken_in, tokens, priority, document, position = (np.array(shared[name], np.int64) for name in SHARED[1:])
    return Statistics(shared["count"], broken_in, broken, sums, histogram, tokens, best, priority, document, position, values)


def _bytes(values: np.ndarray) -> pa.Array:
    """The bytes of each row; nulls where it has none. Lists of numbers would take four times as long to read."""
    width = values.shape[1] * values.itemsize
    if width == 0:
        return pa.nulls(len(values))
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(width), len(values), [None, pa.py_buffer(np.ascontiguousarray(values))])


def _array(table: pa.Table, name: str, kind: str) -> np.ndarray:
    """The rows of a column again, which are not to be changed."""
    column = table[name].combine_chunks()
    if pa.types.is_null(column.type):
        return np.zeros((len(column), 0), kind)
    width = column.type.byte_width
    count = len(column) * width // np.dtype(kind).itemsize
    return np.frombuffer(column.buffers()[1], kind, count, column.offset * width).reshape(len(column), -1)
