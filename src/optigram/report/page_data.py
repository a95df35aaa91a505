"""The data of a report's page: plain values for its script, from records and, where there is any, evidence."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from optigram.optimize.baseline import BASELINE
from optigram.report.escape import Word
from optigram.runs.folder import RunFolder
from optigram.runs.options import FindOptions, flag_of
from optigram.runs.records import Record
from optigram.study.evidence import Evidence, Example, Heat
from optigram.study.statistics import grouped, site_of

DIGITS = 5  # significant, of a number on the page
POINTS = 24  # of a trace, at most

Key = tuple[str, str]  # model and target
OWN = ("by", "seed", "budget", "device", "no_cache")  # options that each record brings with it, or that change no result


@dataclass(frozen=True)
class _Series:
    """A method of an arm; `label` names the arm where several arms have this method."""

    arm: str
    method: str
    label: str


def _series_of(records: Sequence[Record]) -> list[_Series]:
    """All methods of all arms, in the order of the records."""
    pairs = list(dict.fromkeys((record.arm, record.method) for record in records))
    arms = {method: {arm for arm, other in pairs if other == method} for _, method in pairs}
    return [_Series(arm, method, method if len(arms[method]) == 1 else f"{method} ({arm})") for arm, method in pairs]


def contents(kept: RunFolder, evidence: Sequence[Evidence]) -> dict[str, Any]:
    """All data of the page's script, as JSON values."""
    series = _series_of(kept.records)
    numbers = {(one.arm, one.method): number for number, one in enumerate(series)}
    known = {(one.model, one.target): one for one in evidence}
    groups = grouped(kept.records, lambda record: (record.model, record.target))
    return {
        "series": [{"arm": one.arm, "method": one.method, "label": one.label, "base": one.method == BASELINE} for one in series],
        "sampled": kept.sampled,
        "marked": any(word.startswith(" ") for one in evidence for heat in one.heats for word in heat.words),
        "neurons": [_neuron(key, records, known.get(key), numbers, kept.manifest) for key, records in groups.items()],
    }


def _best_of_corpus(records: Sequence[Record]) -> float | None:
    """The highest activation of corpus search among a neuron's records."""
    return max((record.activation for record in records if record.method == BASELINE), default=None)


def short(value: float | None) -> float | None:
    """A number in few digits; None for NaN and infinities."""
    return None if value is None or not abs(value) < float("inf") else float(f"{value:.{DIGITS}g}")


def _neuron(
    key: Key, records: Sequence[Record], evidence: Evidence | None, numbers: Mapping[tuple[str, str], int], manifest: Mapping[str, Any]
) -> dict[str, Any]:
    heats = {} if evidence is None else {(heat.arm, heat.method, heat.seed, heat.rank): heat for heat in evidence.heats}
    made: dict[str, Any] = {
        "model": key[0],
        "target": key[1],
        "site": site_of(records[0].target),
        "base": short(_best_of_corpus(records)),
        "texts": [
            _text(record, numbers[record.arm, record.method], heats.get((record.arm, record.method, record.seed, record.rank)), manifest)
            for record in records
        ],
    }
    return made if evidence is None else made | _surroundings(evidence)


def _text(record: Record, number: int, heat: Heat | None, manifest: Mapping[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {
        "series": number,
        "seed": record.seed,
        "rank": record.rank,
        "text": "".join(piece for piece, _ in record.pieces()),
        "activation": short(record.activation),
        "cost": round(record.total_forwards),
        "command": _command(record, manifest),
    }
    if len(record.pieces()) > 1:
        made["pieces"] = [list(piece) for piece in record.pieces()]
    if heat is not None:
        made |= _words(Word.of_record(record, heat))
    optional = {"soft": short(record.notes.get("soft")), "surprisal": short(record.surprisal), "trace": _thinned(record.total_trace)}
    made |= {name: value for name, value in optional.items() if value}
    return made if record.survives else made | {"changes": True}


def _words(words: Sequence[Word]) -> dict[str, Any]:
    fixed = [place for place, word in enumerate(words) if not word.free]
    made = {"words": [Word.visible(word.text) for word in words], "without": [short(word.without) for word in words]}
    return made | ({"fixed": fixed} if fixed else {})


def _surroundings(evidence: Evidence) -> dict[str, Any]:
    places = sorted({one.position for one in evidence.substitutes})
    made: dict[str, Any] = {
        "aliases": list(evidence.aliases),
        "tried": evidence.tried,
        "substitutes": [
            [[Word.visible(one.word), short(one.activation)] for one in evidence.substitutes if one.position == place] for place in places
        ],
        "examples": [_example(example) for example in evidence.examples],
    }
    if evidence.writes:
        made["writes"] = [[Word.visible(one["word"]), short(one["logit"])] for one in evidence.writes]
    if evidence.counts:
        made["histogram"] = {"low": short(evidence.edges[0]), "high": short(evidence.edges[-1]), "counts": list(evidence.counts)}
    return made


def _example(example: Example) -> dict[str, Any]:
    around = {name: value for name, value in (("before", example.before), ("after", example.after)) if value}
    text = "".join(example.words) if any(word.startswith(" ") for word in example.words) else " ".join(example.words)
    return {
        "share": example.share,
        "activation": short(example.activation),
        **_words(Word.joined(example.words, example.without, text)),
        **around,
    }


def _thinned(trace: Sequence[Sequence[float]]) -> list[list[float]]:
    """At most `POINTS` points of a trace, with its first and last: [forward-equivalents in all, activation]."""
    known = [point for point in trace if abs(point[1]) < float("inf")]
    step = max(1, -(-len(known) // POINTS))
    picked = known[::-1][::step][::-1]
    if known and picked[0] != known[0]:
        picked = [known[0], *picked]
    return [[round(forwards), float(f"{activation:.4g}")] for forwards, activation, _ in picked]


def _command(record: Record, manifest: Mapping[str, Any]) -> str | None:
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
            words += _option(flag_of(name), settings.get(name, field.default), field.default)
    words += [] if budget is None or record.method == BASELINE else ["--budget", f"{budget:g}"]
    return shlex.join(words + _option("--seed", record.seed, 0))


def _option(flag: str, value: Any, usual: Any) -> list[str]:
    """An option as typed; nothing where it has its default."""
    if value is None or value == usual or value == [] or value is False:
        return []
    if isinstance(value, list | tuple):
        return [part for one in value for part in (flag, str(one))]
    return [flag] if value is True else [flag, f"{value:g}" if isinstance(value, float) else str(value)]
