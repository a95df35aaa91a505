"""A run's folder as it lies on disk: what `find`, `demo` and `study` wrote, read again without a model and without torch."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optigram.errors import InputError
from optigram.files import writable_folder
from optigram.runs.records import Record, read

MANIFEST, RECORDS, CELLS = "manifest.json", "records.parquet", "cells"


@dataclass(frozen=True)
class RunFolder:
    """What a folder holds. `whole`: a study that was killed has records, but not yet all of them."""

    folder: Path
    manifest: dict[str, Any]
    records: list[Record]
    whole: bool

    @property
    def study(self) -> dict[str, Any] | None:
        """The settings of a study, or None for a run of `find`."""
        return self.manifest.get("study")

    @property
    def settings(self) -> dict[str, Any]:
        """What was asked for of all records alike."""
        return self.study or self.manifest["settings"]


def new_folder(path: Path) -> Path:
    """A folder that can be written to and holds no run. Raises InputError."""
    if (path / MANIFEST).exists():
        raise InputError(f"expected a new folder, but {path} holds a run; name another folder or remove it")
    return writable_folder(path)


def open_folder(folder: Path) -> RunFolder:
    """Read a run's folder; of a study that was not ended, the cells that are there. Raises InputError if it holds no run."""
    path = folder / MANIFEST
    if not path.is_file():
        raise InputError(f"{folder} holds no run; give a folder that `optigram find --out`, `demo --out` or `study --out` wrote")
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path} is not JSON ({error}); was it edited? run the same again into a new folder") from error
    if not isinstance(manifest, dict) or not (manifest.keys() & {"study", "settings"}):
        raise InputError(f"{path} is no manifest of a run; give a folder that `optigram find --out` or `optigram study --out` wrote")
    if (folder / RECORDS).exists():
        records, whole = _read(folder / RECORDS), True
    else:
        records, whole = [record for cell in sorted((folder / CELLS).glob("*.parquet")) for record in _read(cell)], False
    if not records:
        raise InputError(f"{folder} holds no records yet; let the study do some cells first")
    return RunFolder(folder, manifest, records if whole else _in_order(records, manifest), whole)


def _read(path: Path) -> list[Record]:
    try:
        return read(path)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise InputError(
            f"cannot read the records in {path} ({str(error).splitlines()[0]}); run the same again into a new folder"
        ) from error


def _in_order(records: list[Record], manifest: dict[str, Any]) -> list[Record]:
    """Records of single cells in the order of their study: by arm, then by method."""
    order = [(arm["name"], method) for arm in manifest.get("study", {}).get("arms", ()) for method in arm["methods"]]
    places = {pair: place for place, pair in enumerate(order)}
    return sorted(records, key=lambda record: places.get((record.arm, record.method), len(places)))
