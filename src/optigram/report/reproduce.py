"""The command that repeats a record, from the manifest of its run."""

import shlex
from collections.abc import Mapping
from typing import Any

from optigram.optimize.baseline import BASELINE
from optigram.runs.records import Record

OPTIONS = {
    "length": "--length",
    "corpus": "--corpus",
    "template": "--template",
    "matching": "--matching",
    "seen_in": "--seen-in",
    "surprisal": "--surprisal",
    "fluency_model": "--fluency-model",
    "second_opinion": "--second-opinion",
    "start": "--start",
}
SWITCHES = {"chat": "--chat", "front": "--front", "special": "--special", "must_survive": "--must-survive"}
USUAL = {
    "words": ("--words", "any"),
    "dtype": ("--dtype", "float32"),
    "fluency": ("--fluency", 0.0),
    "repetition": ("--repetition", 0.0),
}
APART, TOGETHER = 0.6, 1.0  # default share of common words between several texts of a neuron: of `find`, and of a study


def command(record: Record, manifest: Mapping[str, Any]) -> str | None:
    """The command that finds a record again; None for a placebo, or where the settings are not known."""
    study = manifest.get("study")
    settings = manifest.get("settings") if study is None else study
    if not settings:
        return None
    arm: Mapping[str, Any] = {} if study is None else next(arm for arm in study["arms"] if arm["name"] == record.arm)
    if arm.get("placebo"):
        return None
    budget = arm.get("budget") if study is not None else settings.get("budget")
    words = ["optigram", "find", settings["model"], record.target, "--by", record.method]
    words += [part for name, option in OPTIONS.items() if settings.get(name) is not None for part in (option, str(settings[name]))]
    words += [option for name, option in SWITCHES.items() if settings.get(name)]
    words += [
        part for name, (option, usual) in USUAL.items() if settings.get(name, usual) != usual for part in (option, str(settings[name]))
    ]
    words += [part for word in settings.get("without", ()) for part in ("--without", word)]
    if budget is not None and record.method != BASELINE:
        words += ["--budget", f"{budget:g}"]
    top, apart = settings.get("top", 1), settings.get("apart", TOGETHER)
    words += _unless(1, "--top", top) + (_unless(APART, "--apart", apart) if top > 1 else []) + _unless(0, "--seed", record.seed)
    return shlex.join(words)


def _unless(usual: float, option: str, value: float) -> list[str]:
    return [] if value == usual else [option, f"{value:g}"]
