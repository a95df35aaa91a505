"""The commands that repeat a record or a scan, from its manifest."""

import shlex
from collections.abc import Mapping
from typing import Any

from optigram.optimize.baseline import BASELINE
from optigram.runs.options import FindOptions, flag_of
from optigram.runs.records import Record

SCANNED = {"per_document": 1, "fold": 8, "sample": 200, "tokens": 512, "top": 20, "context": 256, "skipped": 1, "seed": 0}
BUNDLED = "optigram/models/weights"  # sources there need no option
OWN = ("by", "seed", "budget", "device")  # options that each record brings with it, or that change no result


def command(record: Record, manifest: Mapping[str, Any]) -> str | None:
    """The command that finds a record again; None for a placebo, a corpus in memory, or where the settings are not known."""
    study = manifest.get("study")
    settings = manifest.get("settings") if study is None else {**study, "n": study["top"]}
    if not settings:
        return None
    arm: Mapping[str, Any] = {} if study is None else next(arm for arm in study["arms"] if arm["name"] == record.arm)
    if arm.get("placebo") or any(isinstance(value, dict) for value in settings.values()):
        return None
    budget = arm.get("budget") if study is not None else settings.get("budget")
    words = ["optigram", "find", settings["model"], record.target, "--by", record.method]
    for name, field in FindOptions.model_fields.items():
        if name not in OWN:
            words += _words(flag_of(name), settings.get(name, field.default), field.default)
    words += [] if budget is None or record.method == BASELINE else ["--budget", f"{budget:g}"]
    return shlex.join(words + _words("--seed", record.seed, 0))


def _words(flag: str, value: Any, usual: Any) -> list[str]:
    """An option as typed; nothing where it has its default."""
    if value is None or value == usual or value == [] or value is False:
        return []
    if isinstance(value, list | tuple):
        return [part for one in value for part in (flag, str(one))]
    return [flag] if value is True else [flag, f"{value:g}" if isinstance(value, float) else str(value)]


def scan_command(target: str, scan: Mapping[str, Any]) -> str:
    """The command that scans for one target; `scan` is from a scan's manifest."""
    settings = scan["settings"]
    words = ["optigram", "scan", scan["model"], target]
    words += [part for source in scan["sources"] if BUNDLED not in source["path"] for part in ("--corpus", source["path"])]
    if settings["question"] == "alone":
        words += ["--question", "alone", "--length", str(settings["length"])]
    words += ["--special"] if settings["special"] else []
    words += [] if scan["dtype"] == "saved" else ["--dtype", scan["dtype"]]
    words += [part for name, usual in SCANNED.items() for part in _unless(usual, f"--{name.replace('_', '-')}", settings[name])]
    return shlex.join(words)


def _unless(usual: float, option: str, value: float) -> list[str]:
    return [] if value == usual else [option, f"{value:g}"]
