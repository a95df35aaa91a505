"""A run's folder: `manifest.json` (versions, settings, fingerprints) beside `records.parquet`."""

import hashlib
import json
import platform
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from torch import nn

from optigram.errors import InputError
from optigram.files import writable_folder, written_whole
from optigram.study.records import Record, write

MANIFEST, RECORDS = "manifest.json", "records.parquet"


def new_folder(path: Path) -> Path:
    """A folder that can be written to and holds no other run."""
    if (path / MANIFEST).exists():
        raise InputError(f"{path} already holds a run; name another folder, or remove it")
    return writable_folder(path)


def write_run(folder: Path, records: Sequence[Record], settings: dict[str, Any]) -> None:
    """Write records and manifest; the manifest comes last, so a folder that has one is complete."""
    write(records, folder / RECORDS)
    versions = {name: version(name) for name in ("optigram", "torch", "numpy")} | {"python": platform.python_version()}
    with written_whole(folder / MANIFEST) as path:
        path.write_text(json.dumps({"versions": versions, **settings}, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def model_fingerprint(model: nn.Module) -> str:
    """A hash of all weights, the same for the same numbers wherever they are stored."""
    found = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        found.update(name.encode())
        found.update(value.detach().cpu().contiguous().numpy().tobytes())
    return found.hexdigest()


def text_fingerprint(texts: Iterable[str]) -> str:
    """A hash of sentences in their order."""
    found = hashlib.sha256()
    for text in texts:
        found.update(text.encode() + b"\n")
    return found.hexdigest()
