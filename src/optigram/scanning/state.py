"""The state of a scan: the best places at both ends and the statistics, merged in any order, kept as one Parquet file."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet

from optigram.errors import InputError
from optigram.files import parse_json, written_whole
from optigram.scanning.statistics import Statistics
from optigram.scanning.top_places import TopPlaces

ABOUT = b"optigram"
PER_TARGET = ("broken", "sums", "histogram", "best", "values")
SHARED = ("count", "broken_in", "tokens", "priority", "document", "position")
ENDS = ("top", "bottom")


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

    def merged(self, other: "State", sample: int) -> "State":
        """Both together. Raises InputError for states of different plans, or that have a shard in common."""
        if self.plan != other.plan or self.targets != other.targets:
            raise InputError("these parts are of different scans: model, targets, corpus or settings differ; merge those of one plan")
        if common := set(self.shards) & set(other.shards):
            raise InputError(f"shard {min(common)} is in two of these parts, and would count twice; merge each shard once")
        return State(
            self.plan,
            self.targets,
            tuple(sorted(self.shards + other.shards)),
            self.top.merged(other.top),
            self.bottom.merged(other.bottom),
            self.statistics.merged(other.statistics, sample),
            self.documents + other.documents,
            self.tokens + other.tokens,
            tuple(sorted({*self.skipped, *other.skipped})),
            self.seconds + other.seconds,
        )

    def write(self, path: Path) -> None:
        """Write one row per target, and what belongs to no target into the metadata of the file. The file is written whole."""
        arrays: dict[str, pa.Array] = {"target": pa.array(self.targets)}
        for end in ENDS:
            places: TopPlaces = getattr(self, end)
            arrays |= {f"{end}_{field.name}": _lists(getattr(places, field.name)) for field in fields(places)}
        arrays |= {name: _lists(getattr(self.statistics, name)) for name in PER_TARGET}
        about = {name: getattr(self, name) for name in ("plan", "shards", "documents", "tokens", "skipped", "seconds")}
        about["statistics"] = {name: np.asarray(getattr(self.statistics, name)).tolist() for name in SHARED}
        table = pa.table(arrays).replace_schema_metadata({ABOUT: json.dumps(about).encode()})
        with written_whole(path) as temporary:
            parquet.write_table(table, temporary, compression="zstd")

    @classmethod
    def read(cls, path: Path) -> "State":
        """The state that `write` wrote. Raises InputError for anything else."""
        try:
            table = parquet.read_table(path)
            about = parse_json((table.schema.metadata or {})[ABOUT])
            ends = {end: TopPlaces(*(_array(table, f"{end}_{field.name}") for field in fields(TopPlaces))) for end in ENDS}
            return cls(
                about["plan"],
                tuple(table["target"].to_pylist()),
                tuple(about["shards"]),
                ends["top"],
                ends["bottom"],
                _statistics(table, about["statistics"]),
                about["documents"],
                about["tokens"],
                tuple(about["skipped"]),
                about["seconds"],
            )
        except (OSError, pa.ArrowException, KeyError, ValueError, TypeError, AttributeError) as error:
            raise InputError(
                f"{path} is no part of a scan of this version ({str(error)[:80]}); remove it to read its shard again"
            ) from error


def _statistics(table: pa.Table, shared: Mapping[str, Any]) -> Statistics:
    broken, sums, histogram, best, values = (_array(table, name) for name in PER_TARGET)
    broken_in, tokens, priority, document, position = (np.array(shared[name], np.int64) for name in SHARED[1:])
    return Statistics(shared["count"], broken_in, broken, sums, histogram, tokens, best, priority, document, position, values)


def _lists(values: np.ndarray) -> pa.Array:
    """A list of one length for each row; nulls where that length is 0."""
    if values.shape[1] == 0:
        return pa.nulls(len(values))
    return pa.FixedSizeListArray.from_arrays(pa.array(np.ascontiguousarray(values).ravel()), values.shape[1])


def _array(table: pa.Table, name: str) -> np.ndarray:
    column = table[name].combine_chunks()
    if pa.types.is_null(column.type):
        return np.zeros((table.num_rows, 0), np.float32)
    return column.values.to_numpy(zero_copy_only=False).reshape(table.num_rows, -1).copy()
