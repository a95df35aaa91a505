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
