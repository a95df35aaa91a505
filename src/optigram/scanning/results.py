"""ScanResults: what a scan found, read from its folder; needs neither torch nor the model."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as compute
import pyarrow.parquet as parquet

from optigram.errors import InputError, nearest

PLAN = "plan.json"


def is_scan(folder: Path) -> bool:
    """Whether a folder is that of a scan, finished or not."""
    return (folder / PLAN).is_file()


@dataclass(frozen=True, repr=False)
class ScanResults:
    """`examples`, `targets` and `curve` are tables (see `docs/scan.md`), `about` is the manifest.

    `findings["mlp_act.5:3"]` are the best places of a target.
    """

    about: dict[str, Any]
    examples: pa.Table
    targets: pa.Table
    curve: pa.Table

    @classmethod
    def load(cls, folder: Path | str) -> "ScanResults":
        """What was found by the scan in a folder. Raises InputError if there is none, or nothing was merged yet."""
        folder = Path(folder)
        try:
            about = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
            tables = [parquet.read_table(folder / f"{name}.parquet") for name in ("examples", "targets", "curve")]
            about["scan"]
        except (OSError, ValueError, KeyError, TypeError, pa.ArrowException) as error:
            raise InputError(f"there is no finished scan in {folder} ({str(error)[:80]}); make one with `optigram scan`") from error
        return cls(about, *tables)

    def __repr__(self) -> str:
        return f"ScanResults({len(self):,} targets in {self.about['documents']:,} documents, {self.about['tokens']:,} tokens)"

    def __len__(self) -> int:
        """How many targets there are."""
        return self.targets.num_rows

    def __iter__(self) -> Iterator[str]:
        """The addresses of the targets."""
        yield from self.targets["target"].to_pylist()

    def __getitem__(self, target: str) -> list[dict[str, Any]]:
        """The highest places of a target, best first."""
        return self.of(target)

    def of(self, target: str, split: str = "top") -> list[dict[str, Any]]:
        """The places of a target in a split, by rank; raises InputError for a target that was not scanned."""
        if target not in (known := list(self)):
            raise InputError(f"{target} was not scanned{nearest(target, known)}")
        chosen = (compute.field("target") == target) & (compute.field("split") == split)
        return self.examples.filter(chosen).sort_by("rank").to_pylist()

    def best(self) -> list[dict[str, Any]]:
        """The highest place of every target that has one, in the order of the targets."""
        first = (compute.field("rank") == 1) & (compute.field("split") == "top")
        rows = {row["target"]: row for row in self.examples.filter(first).to_pylist()}
        return [rows[target] for target in self if target in rows]
