"""Results: one JSON object per line, appended under a lock, so that several runs may write and a killed one loses nothing."""

import datetime
import fcntl
import json
import os
import platform
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).resolve().parent
RESULTS = ROOT / "results.jsonl"


@dataclass(frozen=True)
class Row:
    """One measurement. `settings` say what was measured, `metrics` what came out, `texts` what was found; `when` is a date in UTC."""

    case: str
    commit: str
    machine: Mapping[str, Any]
    seed: int
    settings: Mapping[str, Any]
    metrics: Mapping[str, Any]
    texts: Sequence[Mapping[str, Any]]
    when: str


def read(path: Path) -> list[Row]:
    """The rows of a file, in order; none if it is missing. A line that a killed run left torn is passed over."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [Row(**found) for line in lines if (found := _parsed(line)) is not None]


def _parsed(line: str) -> dict[str, Any] | None:
    try:
        return json.loads(line)
    except ValueError:
        return None


def append(path: Path, rows: Iterable[Row]) -> None:
    """Add rows at the end, all of them in one write."""
    text = "".join(json.dumps(asdict(row), ensure_ascii=False) + "\n" for row in rows)
    with path.open("a+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        if file.seek(0, os.SEEK_END):
            file.seek(-1, os.SEEK_END)
            text = text if file.read(1) == b"\n" else "\n" + text  # the end of a line that a killed run left torn
        file.write(text.encode())
        file.flush()
        os.fsync(file.fileno())


def latest(rows: Iterable[Row]) -> list[Row]:
    """Of rows with the same case, settings and seed the last one."""
    found: dict[str, Row] = {}
    for row in rows:
        key = json.dumps([row.case, row.seed, row.settings], sort_keys=True)
        found.pop(key, None)
        found[key] = row
    return list(found.values())


def is_done(rows: Iterable[Row], case: str, commit: str, seed: int, settings: Mapping[str, Any]) -> bool:
    """Whether a unit was measured at this commit: its results may have further settings."""
    wanted = settings.items()
    return any((row.case, row.commit, row.seed) == (case, commit, seed) and wanted <= row.settings.items() for row in rows)


def commit() -> str:
    """The commit of the sources, `-dirty` where they differ from it, or `unknown` outside of a repository."""
    try:
        head = _git("rev-parse", "--short", "HEAD")
        changed = _git("status", "--porcelain", "--", "src", "benchmarks", ":(exclude)*.jsonl")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return f"{head}-dirty" if changed else head


def _git(*words: str) -> str:
    return subprocess.run(["git", "-C", str(ROOT.parent), *words], check=True, capture_output=True, text=True).stdout.strip()


def machine() -> dict[str, Any]:
    """What the figures of time depend on; nothing that tells whose machine it is."""
    cpus = Path("/proc/cpuinfo")
    lines = cpus.read_text(encoding="utf-8").splitlines() if cpus.exists() else []
    name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
    return {"cores": os.cpu_count(), "cpu": name, "torch": torch.__version__}


def today() -> str:
    """The date in UTC."""
    return datetime.datetime.now(datetime.UTC).date().isoformat()
