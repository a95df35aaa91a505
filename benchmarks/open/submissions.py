"""Submissions: what a tool found, one JSON object per line. Every text is scored again; of a tool's own numbers only its cost counts.

A line is {"target": id, "seed": n, "text": ..., "forwards": f.e., "seconds": of the processor}, and may have a "curve" of the best text
so far: [[forwards, text or activation], ...]. An activation in a curve counts for no more than the final text turns out to have.
"""

import gzip
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.open.directory import Directory, Target
from benchmarks.quality.search import plain
from optigram.errors import InputError
from optigram.study.statistics import Interval, grouped

FIRST, SHORT = 10.0, 6  # f.e. where the area begins; words of a short phrase
REACHED, SAME = 0.9, 2e-5  # of a trigger's activation; of an optimum's, for rounding
MOST_BYTES = 1 << 28


@dataclass(frozen=True)
class Found:
    """A line of a submission with what the text truly has. `curve` [(forwards, activation)] rises."""

    target: str
    seed: int
    text: str
    forwards: float
    seconds: float
    activation: float
    curve: Sequence[tuple[float, float]] = ()


def read(file: Path, directory: Directory) -> list[Found]:
    """The lines of a submission, scored. Raises InputError, in one line that says where, for the first line that is wrong."""
    targets = {target["id"]: target for target in directory.targets}
    lines = [_parsed(file, number, line, targets) for number, line in enumerate(_lines(file), start=1) if line.strip()]
    if not lines:
        raise InputError(f"expected lines of texts in {file.name}, got an empty file")
    found: list[Found] = []
    for name, group in grouped(lines, lambda line: line["target"]).items():
        found += _scored(file, directory, targets[name], group)
    return found


def _lines(file: Path) -> list[str]:
    """The lines of a file, which may be compressed (.gz)."""
    try:
        with gzip.open(file, "rb") if file.suffix == ".gz" else file.open("rb") as opened:
            content = opened.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            raise InputError(f"expected a submission of at most {MOST_BYTES >> 20} MB, got more in {file.name}; leave the curves out")
        return content.decode().splitlines()
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise InputError(f"expected a submission, a file of JSON lines, got {file}: {error}") from error


def _parsed(file: Path, number: int, line: str, targets: Mapping[str, Target]) -> dict[str, Any]:
    """A line with its number. Raises InputError for anything that is missing or of another kind."""
    where = f"{file.name}, line {number}"
    try:
        told = json.loads(line)
    except ValueError:
        raise InputError(f"{where}: expected a JSON object, got {line[:80]!r}") from None
    if not isinstance(told, dict) or not isinstance(told.get("text"), str) or not isinstance(told.get("target"), str):
        raise InputError(f"{where}: expected an object with target and text, got {line[:80]!r}")
    if told["target"] not in targets:
        raise InputError(f"{where}: expected the id of a target of this directory, got {told['target']!r}")
    for name in ("seed", "forwards", "seconds"):
        if not _is_cost(told.get(name)):
            raise InputError(f"{where}: expected a number of at least 0 as {name}, got {told.get(name)!r}")
    curve = told.setdefault("curve", [])
    if not isinstance(curve, list) or not all(_is_point(point) for point in curve):
        raise InputError(f"{where}: expected a curve of [forwards, text or activation], got {str(curve)[:80]}")
    return told | {"where": where}


def _is_cost(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < float("inf")


def _is_point(point: Any) -> bool:
    return isinstance(point, list) and len(point) == 2 and _is_cost(point[0]) and isinstance(point[1], str | int | float)


def _scored(file: Path, directory: Directory, target: Target, lines: Sequence[dict[str, Any]]) -> list[Found]:
    """All lines of one target, scored by the reference."""
    texts: list[str] = []
    for line in lines:
        mine = [line["text"], *(told for _, told in line["curve"] if isinstance(told, str))]
        for text in mine:
            try:
                directory.reference.ids_of(target, text)
            except ValueError as error:
                raise InputError(f"{line['where']}: {error}") from None
        texts += mine
    once = list(dict.fromkeys(texts))
    known = dict(zip(once, directory.reference.activations(target, once), strict=True))
    if band := target.get("surprisal"):
        for line in lines:
            (nats,) = directory.reference.surprisals(target, [line["text"]])
            if not band[0] - 1e-3 <= nats <= band[1] + 1e-3:
                raise InputError(f"{line['where']}: expected {band[0]} to {band[1]} nats per token, got {nats:.2f} in {line['text']!r}")
    return [
        Found(
            target["id"],
            int(line["seed"]),
            line["text"],
            float(line["forwards"]),
            float(line["seconds"]),
            known[line["text"]],
            _curve(line, known),
        )
        for line in lines
    ]


def _curve(line: Mapping[str, Any], known: Mapping[str, float]) -> list[tuple[float, float]]:
    end, best, curve = known[line["text"]], -np.inf, list[tuple[float, float]]()
    for forwards, told in line["curve"]:
        best = max(best, known[told] if isinstance(told, str) else min(float(told), end))
        curve.append((float(forwards), best))
    return curve


def score(directory: Directory, submissions: Mapping[str, Sequence[Found]]) -> dict[tuple[str, str], dict[str, Any]]:
    """The metrics of each set and tool. Texts better than the best known become the best known first."""
    best = directory.best_known()
    for tool, found in submissions.items():
        for one in found:
            if one.activation > best.get(one.target, {"activation": -np.inf})["activation"] + SAME:
                best[one.target] = {"activation": one.activation, "text": one.text, "tool": tool}
    directory.keep_best(best)
    targets = {target["id"]: target for target in directory.targets}
    made = {}
    for tool, found in submissions.items():
        heights = _heights(found, targets)
        for of, group in grouped(found, lambda one: targets[one.target]["set"]).items():
            made[of, tool] = _metrics(of, group, targets, directory.answers, best) | {"gain": _gain(of, heights)}
    return made


def _metrics(
    of: str, found: Sequence[Found], targets: Mapping[str, Target], answers: Mapping[str, Mapping[str, Any]], best: Mapping[str, Any]
) -> dict[str, Any]:
    """Means over targets, of each the mean over its seeds; intervals are over targets."""
    values: dict[str, dict[str, list[float]]] = {"share": {}, "area": {}, "success": {}, "recall": {}, "recall_short": {}}
    for one in found:
        floor, answer = targets[one.target]["floor"], answers.get(one.target)
        whole = max(best[one.target]["activation"] - floor, 1e-9)
        told = {"share": (one.activation - floor) / whole}
        if one.curve:
            told["area"] = _area([(at, max(value - floor, 0.0) / whole) for at, value in one.curve], one.forwards)
        if answer and of != "placebos":
            planted = "phrase" in answer
            told["success"] = float(one.activation >= answer["activation"] - (1 - REACHED if planted else SAME) * abs(answer["activation"]))
            if planted:
                told["recall"] = float(one.text.split() == answer["phrase"].split())
                told |= {"recall_short": told["recall"]} if targets[one.target]["length"] <= SHORT else {}
        for name, value in told.items():
            values[name].setdefault(one.target, []).append(value)
    made: dict[str, Any] = {"targets": len({one.target for one in found}), "seeds": len({one.seed for one in found})}
    made |= {name: plain(Interval.mean([float(np.mean(row)) for row in rows.values()])) for name, rows in values.items() if rows}
    made |= {"spent": float(np.median([one.forwards for one in found])), "seconds": float(np.mean([one.seconds for one in found]))}
    if values["success"]:
        reached = sum(map(sum, values["success"].values()))
        made["per_forwards"] = 10_000 * reached / max(sum(one.forwards for one in found), 1.0)
        made["per_minute"] = 60 * reached / max(sum(one.seconds for one in found), 1e-9)
    return made


def _area(curve: Sequence[tuple[float, float]], spent: float) -> float:
    """The mean of a curve along the logarithm of the cost, from `FIRST` to what was spent; 0 before its first point."""
    at = np.log(np.clip([*(forwards for forwards, _ in curve), spent], FIRST, max(spent, FIRST)))
    whole = np.log(max(spent, FIRST) / FIRST)
    return float((np.diff(at) * [value for _, value in curve]).sum() / whole) if whole > 0 else float(curve[-1][1])


def _heights(found: Sequence[Found], targets: Mapping[str, Target]) -> dict[tuple[str, str], list[float]]:
    """How many standard deviations of random texts each text is above their mean, by set and by what a placebo is alike."""
    made: dict[tuple[str, str], list[float]] = {}
    for one in found:
        target = targets[one.target]
        key = target["set"], target.get("like", "")
        made.setdefault(key, []).append((one.activation - target["floor"]) / max(target["spread"], 1e-9))
    return made


def _gain(of: str, heights: Mapping[tuple[str, str], Sequence[float]]) -> float | None:
    """The median height of a set to that of its placebos."""
    ours, theirs = heights.get((of, "")), heights.get(("placebos", of))
    return float(np.median(ours) / np.median(theirs)) if ours and theirs and np.median(theirs) > 0 else None
