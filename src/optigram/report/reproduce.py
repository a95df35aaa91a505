"""The command that repeats a record, from the manifest of its run."""

import shlex
from collections.abc import Mapping
from typing import Any

from optigram.optimize.baseline import BASELINE
from optigram.runs.options import FindOptions, flag_of
from optigram.runs.records import Record

OWN = ("by", "seed", "budget", "device", "no_cache")  # options that each record brings with it, or that change no result


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
