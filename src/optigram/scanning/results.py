"""ScanTables: what a scan found, read from its folder. Needs neither torch nor the model."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.compute as compute
import pyarrow.parquet as parquet

from optigram.errors import InputError, nearest
from optigram.files import parse_json, writable_folder, written_whole

FORMAT = "optigram-scan-3"
PLAN, MANIFEST = "plan.json", "manifest.json"
TABLES = ("examples", "targets", "curve")
COLUMNS = (
    ("target", "split", "rank", "activation", "text"),
    ("target", "index", "broken", "highest", "lowest"),
    ("target", "tokens", "highest"),
)


Tables = TypeVar("Tables", bound="ScanTables")


class ScanFolder:
    """What is known of a scan by its files and settings."""

    @staticmethod
    def is_in(folder: Path) -> bool:
        """Whether a folder is that of a scan, finished or not."""
        return (folder / PLAN).is_file() or (folder / f"{TABLES[0]}.parquet").is_file()

    @staticmethod
    def refuse_other_format(folder: Path, scan: Mapping[str, Any]) -> None:
        """Raise InputError if another version of optigram made the scan in a folder."""
        if (made := scan.get("format", "an older format")) != FORMAT:
            version = (scan.get("versions") or {}).get("optigram", "another version")
            raise InputError(
                f"the scan in {folder} was made by optigram {version} ({made}), this version reads {FORMAT}; scan again into a new folder"
            )

    @staticmethod
    def question(settings: Mapping[str, Any]) -> str:
        """The question of a scan with these settings, in a few words."""
        return f"n-grams of {settings['length']} scored alone" if settings["question"] == "alone" else "places in context"


@dataclass(frozen=True)
class ScanTables:
    """The best places of every target, and the statistics of its activations.

    Reads like a mapping: its keys are the addresses of the targets, and `results["mlp_act.5:3"]` or `results[0]` are the highest places of
    one target, best first, as dictionaries. `examples`, `targets` and `curve` are Arrow tables (see "Scans" in the documentation), `about`
    is the manifest.
    """

    about: dict[str, Any]
    examples: pa.Table
    targets: pa.Table
    curve: pa.Table

    @classmethod
    def load(cls: type[Tables], folder: Path | str) -> Tables:
        """The results in the folder of a scan. Raises InputError if there are none yet, or if another version of optigram made them."""
        folder = Path(folder)
        try:
            about = parse_json((folder / MANIFEST).read_text(encoding="utf-8"))
            ScanFolder.refuse_other_format(folder, about["scan"])
            found = [parquet.read_table(folder / f"{name}.parquet") for name in TABLES]
            for table, columns in zip(found, COLUMNS, strict=True):
                table.select(columns)
            _check_manifest(about)
            return cls(about, *found)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, pa.ArrowException) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"there is no finished scan in {folder} ({str(error)[:80]}); make one with `optigram scan`") from error

    def __len__(self) -> int:
        """The number of targets."""
        return self.targets.num_rows

    def __iter__(self) -> Iterator[str]:
        """The addresses of the targets."""
        yield from self.targets["target"].to_pylist()

    def __contains__(self, target: object) -> bool:
        return target in set(self)

    def __getitem__(self, target: str | int) -> list[dict[str, Any]]:
        """The highest places of a target, named by its address or number, best first."""
        return self.of(list(self)[target] if isinstance(target, int) else target)

    def of(self, target: Any, split: str = "top") -> list[dict[str, Any]]:
        """The places of a target in a split (top, bottom, random, ...), by rank. Raises InputError for a target that was not scanned."""
        if (name := str(target)) not in (known := list(self)):
            near = nearest(name, known) or f"; the scan has {', '.join(known[:5])}"
            raise InputError(f"{name} was not scanned{near}")
        chosen = (compute.field("target") == name) & (compute.field("split") == split)
        return self.examples.filter(chosen).sort_by("rank").to_pylist()

    @property
    def best(self) -> list[dict[str, Any]]:
        """The highest place of every target that has one, in the order of the targets."""
        first = (compute.field("rank") == 1) & (compute.field("split") == "top")
        rows = {row["target"]: row for row in self.examples.filter(first).to_pylist()}
        return [rows[target] for target in self if target in rows]

    @property
    def left_out(self) -> str:
        """How many activations were NaN or infinite, and where the first of them are; empty for none."""
        broken = self.about["broken"]
        if not broken["values"]:
            return ""
        return f"{broken['values']:,} activations are NaN or infinite and count nowhere, in documents such as {broken['in'][0]}"

    def save(self, folder: Path | str) -> None:
        """Write the tables and the manifest to a folder, which `load` and the commands read. Raises InputError if it holds a scan."""
        folder = Path(folder)
        if ScanFolder.is_in(folder):
            raise InputError(f"{folder} already holds a scan; name another folder, or remove it")
        writable_folder(folder)
        for name in TABLES:
            with written_whole(folder / f"{name}.parquet") as path:
                parquet.write_table(getattr(self, name), path, compression="zstd")
        with written_whole(folder / MANIFEST) as path:
            path.write_text(json.dumps(self.about, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _check_manifest(about: Mapping[str, Any]) -> None:
    """Read all that is read of a manifest, so that one that was damaged is known at once. Raises what reading it raises."""
    scan, shards, broken = about["scan"], about["shards"], about["broken"]
    read = (
        f"{about['documents']:,d} {about['tokens']:,d} {about['seconds']:.0f} {broken['values']:,d} {shards['of']:d} {len(shards['done'])}"
    )
    paths = [*about["skipped"], *broken["in"], *(source["path"] for source in scan["sources"]), scan["model"], scan["mark"], scan["dtype"]]
    names = {name: scan["settings"][name] for name in ("question", "length", "context", "skipped", "special")}
    if not all(isinstance(path, str) for path in paths) or not names or not read or (broken["values"] and not broken["in"]):
        raise ValueError(f"{MANIFEST} was changed")
