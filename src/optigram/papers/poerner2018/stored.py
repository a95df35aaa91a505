"""Records as compressed text, so that they can stand in a repository: lines of JSON in an .xz file."""

import json
import lzma
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from optigram.files import written_whole
from optigram.runs.records import Record

DERIVED = ("tokens", "whole", "free")  # of a model whose text is its words
PLACES = 4  # decimals of costs, notes and traces; activations keep all that float32 has


def write_records(records: Iterable[Record], path: Path) -> None:
    """Write the best text of every search, without the columns that its text gives."""
    lines = [json.dumps(_row(record), ensure_ascii=False) + "\n" for record in records if record.rank == 1]
    with written_whole(path) as temporary:
        temporary.write_bytes(lzma.compress("".join(lines).encode(), preset=9 | lzma.PRESET_EXTREME))


def read_records(path: Path) -> list[Record]:
    """The records that `write_records` wrote."""
    rows = map(json.loads, lzma.decompress(path.read_bytes()).decode().splitlines())
    return [Record(**row, tokens=row["text"].split(" "), whole=row["text"]) for row in rows]


def _row(record: Record) -> dict:
    row = {name: value for name, value in asdict(record).items() if name not in DERIVED}
    row["notes"] = {name: round(value, PLACES) for name, value in record.notes.items()}
    row["trace"] = [[round(number, PLACES) for number in point] for point in record.trace]
    row["activation"] = float(f"{record.activation:.9g}")
    return row | {name: round(row[name], PLACES) for name in ("forwards", "backwards", "seconds")}
