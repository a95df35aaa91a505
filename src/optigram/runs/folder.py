"""The folder of a run or a study: a manifest and Parquet files, read without a model and without torch."""

import contextlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optigram.errors import InputError
from optigram.files import parse_json, versions, writable_folder, written_whole
from optigram.runs.records import Record, RecordFile

try:
    import fcntl
except ImportError:  # Windows has no such locks
    fcntl = None

MANIFEST, RECORDS, CELLS, CLAIM = "manifest.json", "records.parquet", "cells", ".running"
RUN_FORMAT, STUDY_FORMAT = "optigram-run-2", "optigram-study-2"  # raised whenever records or manifests change


@dataclass(frozen=True)
class RunFolder:
    """What a folder holds. `whole` is False for a study that was killed: it has records, but not all of them yet."""

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
        """The settings that all records share; empty where they are not known."""
        return self.study or self.manifest.get("settings") or {}

    @property
    def sampled(self) -> bool:
        """Whether the corpus was sampled from the model itself: `sampled:N`, or the corpus that is bundled with a model."""
        corpus = self.settings.get("corpus")
        return bool(self.settings) and (corpus is None or str(corpus).startswith("sampled:"))

    @classmethod
    def open(cls, folder: Path) -> "RunFolder":
        """Read a run's folder; of a study that has not ended, the cells that are there.

        Raises InputError if the folder holds no run, or one in the format of another version.
        """
        path = folder / MANIFEST
        if not path.is_file():
            raise InputError(f"{folder} holds no run; give a folder that `optigram find --out`, `demo --out` or `study --out` wrote")
        manifest = RunFolder.read_manifest(path)
        if (folder / RECORDS).exists():
            records, whole = _read(folder / RECORDS), True
        else:
            records, whole = [record for cell in sorted((folder / CELLS).glob("*.parquet")) for record in _read(cell)], False
        if not records:
            raise InputError(f"{folder} holds no records yet; let the study do some cells first")
        return cls(folder, manifest, records if whole else _in_order(records, manifest), whole)

    @staticmethod
    @contextlib.contextmanager
    def new(path: Path | None) -> Iterator[Path | None]:
        """A folder that can be written to, holds no run, and belongs to this process until the end of the block. Raises InputError.

        The claim is a lock that the system takes back when the process ends, however it ends. A folder that was made here and in which
        nothing was written is removed. None gives None.
        """
        if path is None:
            yield None
            return
        made = not path.exists()
        try:
            with _claimed(writable_folder(path)):
                if (path / MANIFEST).exists():
                    raise InputError(f"expected a new folder, but {path} holds a run; name another folder or remove it")
                yield path
        finally:
            if made:
                with contextlib.suppress(OSError):  # there is something in it, or it was not made
                    path.rmdir()

    @staticmethod
    def write(folder: Path, records: Iterable[Record], about: Mapping[str, Any]) -> None:
        """Write records and a manifest that says `about` them (`settings` or `study`, `corpus`, `fingerprints`) into a folder.

        The manifest comes last, so a folder that has one is complete.
        """
        RecordFile.write(records, folder / RECORDS)
        RunFolder.write_manifest(folder, {"format": STUDY_FORMAT if "study" in about else RUN_FORMAT, "versions": versions(), **about})

    @staticmethod
    def read_manifest(path: Path) -> dict[str, Any]:
        """The manifest of a run or a study. Raises InputError if it is none, or in the format of another version."""
        try:
            manifest = parse_json(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise InputError(f"{path} is not JSON ({error}); was it edited? run the same again into a new folder") from error
        if not isinstance(manifest, dict) or not (manifest.keys() & {"study", "settings"}) or not _plausible(manifest):
            raise InputError(f"{path} is no manifest of a run; give a folder that `optigram find --out` or `optigram study --out` wrote")
        expected = STUDY_FORMAT if "study" in manifest else RUN_FORMAT
        if (found := manifest.get("format", "an older format")) != expected:
            maker = (manifest.get("versions") or {}).get("optigram", "of an unknown version")
            raise InputError(
                f"{path.parent} was written by optigram {maker} in {found}, not {expected}; run the same again into a new folder"
            )
        return manifest

    @staticmethod
    def write_manifest(folder: Path, manifest: Mapping[str, Any]) -> None:
        """Write a manifest, whole."""
        with written_whole(folder / MANIFEST) as path:
            path.write_text(json.dumps(manifest, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


@contextlib.contextmanager
def _claimed(folder: Path) -> Iterator[None]:
    place = folder / CLAIM
    with place.open("w") as file:
        try:
            if fcntl is not None:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InputError(f"another run is writing to {folder}; name another folder") from error
        except OSError:  # a file system without locks
            pass
        try:
            yield
        finally:
            place.unlink(missing_ok=True)


def _plausible(manifest: dict[str, Any]) -> bool:
    """Whether the parts of a manifest are what readers take them for."""
    kinds = {"settings": dict | None, "study": dict, "versions": dict | None, "fingerprints": dict | None}
    if not all(isinstance(manifest.get(name), kind) for name, kind in kinds.items() if name in manifest):
        return False
    arms = (manifest.get("study") or {}).get("arms", [])
    return isinstance(arms, list) and all(isinstance(arm, dict) and {"name", "methods"} <= arm.keys() for arm in arms)


def _read(path: Path) -> list[Record]:
    try:
        return RecordFile.read(path)
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise InputError(f"cannot read the records in {path} ({str(error)[:200]}); run the same again into a new folder") from error


def _in_order(records: list[Record], manifest: dict[str, Any]) -> list[Record]:
    """Records of single cells in the order of their study: by arm, then by method."""
    order = [(arm["name"], method) for arm in manifest.get("study", {}).get("arms", ()) for method in arm["methods"]]
    places = {pair: place for place, pair in enumerate(order)}
    return sorted(records, key=lambda record: places.get((record.arm, record.method), len(places)))
