"""What a page shows of explained neurons: concepts, patterns, contrasts, descriptions and their tests, as plain values for its script."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optigram.errors import InputError
from optigram.explaining.evidence import Concept, Contrast, Evidence, Example, Pattern
from optigram.explaining.verification import Prediction, Verification
from optigram.files import parse_json
from optigram.report.escape import Word
from optigram.report.evidences import KINDS, Evidences
from optigram.report.page_data import short
from optigram.runs.folder import RunFolder

WORDS, OF_A_SOURCE, OF_A_KIND = 16, 5, 2  # of a slot; texts of a concept by where they are from; contrasts of a kind
COUNTERS = 6  # counterexamples of a kind
POOLS = re.compile("@(last|max|anywhere)$")  # a neuron that is read at its last or its highest position is the same neuron
HELP = "expected a file that explain --save, describe --json or verify --out wrote"


@dataclass(frozen=True)
class Explained:
    """Evidences, descriptions (target, text, by whom) and tested descriptions of any neurons, in the order in which they came."""

    evidences: Sequence[Evidence] = ()
    descriptions: Sequence[tuple[str, str, str]] = ()
    verifications: Sequence[Verification] = ()

    @classmethod
    def of(cls, given: Any) -> "Explained":
        """What `concepts`, `describe` and `verify` returned, files of theirs, or several of these. Raises InputError for anything else."""
        if isinstance(given, cls):
            return given
        if isinstance(given, str | Path):
            return cls._read(Path(given))
        if isinstance(given, Evidence):
            return cls(evidences=[given])
        if isinstance(given, Verification):
            return cls(verifications=[given])
        if isinstance(getattr(given, "evidence", None), Evidence):  # a description, whose module needs torch
            return cls(descriptions=[(given.evidence.target, given.text, given.by)] if given.text else [])
        if not isinstance(given, Iterable) or isinstance(given, Mapping):
            raise InputError(f"explanations: expected what concepts, describe or verify returned, or files of it, got {given!r:.60}")
        parts = [cls.of(one) for one in given]
        return cls(
            [one for part in parts for one in part.evidences],
            [one for part in parts for one in part.descriptions],
            [one for part in parts for one in part.verifications],
        )

    @classmethod
    def _read(cls, file: Path) -> "Explained":
        """A file of evidences, or of JSON lines; a last line that was cut off is left out."""
        try:
            text = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"cannot read {file} ({getattr(error, 'strerror', None) or error}); {HELP}") from error
        if "evidences" in (_parsed(text) or ()):
            return cls(evidences=Evidences.open(file).evidences)
        lines = text.splitlines(keepends=True)
        if lines and not lines[-1].endswith("\n") and _parsed(lines[-1]) is None:
            lines.pop()
        return cls.of([cls._line(line, f"line {number} of {file}") for number, line in enumerate(lines, start=1) if line.strip()])

    @classmethod
    def _line(cls, line: str, where: str) -> "Explained":
        try:
            given = parse_json(line)
            if "predictions" in given:
                return cls(verifications=[Verification.of_json(given)])
            if "concepts" in given:
                return cls(evidences=[Evidence.from_json(given)])
            return cls(descriptions=[(str(given["target"]), str(given["text"]), str(given["by"]))] if given["text"] else [])
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(f"{HELP}, got something else in {where}") from error

    def add_to(self, kept: RunFolder, neurons: Sequence[dict[str, Any]]) -> None:
        """Add what is known to the neurons of a run's page. Raises InputError if that is nothing for all of them."""
        found = 0
        for neuron in neurons:
            if rows := self._of(neuron["model"], neuron["target"]):
                neuron["explained"] = rows
                found += 1
        if not found:
            known = [*(one.target for one in (*self.evidences, *self.verifications)), *(target for target, *_ in self.descriptions)]
            raise InputError(
                f"none of the run's neurons is explained, such as {kept.records[0].target} of {kept.records[0].model}; "
                f"the explanations are of {', '.join(dict.fromkeys(known)) or 'no neuron':.200}"
            )

    @staticmethod
    def values(one: Evidence, title: str = "") -> dict[str, Any]:
        """An evidence as plain values; `title` stands above it, beside others of the same neuron."""
        return {
            "title": title,
            "base": short(one.base),
            "height": short(one.maximum) if one.concepts else None,
            "stability": short(one.stability),
            "corpus": one.corpus and Word.visible(one.corpus),
            "places": one.places,
            "forwards": round(one.forwards),
            "concepts": [_concept(each) for each in one.concepts],
            "contrasts": _contrasts(one.contrasts),
        }

    def _of(self, model: str, target: str) -> dict[str, Any] | None:
        """The values of one neuron; None if nothing is known about it."""
        name, low = _bare(target), _bare(f"-{target}")
        evidences = [
            one
            for one in self.evidences
            if one.model == model and (_bare(one.target) == name or (one.pole, _bare(one.target)) == ("min", low))
        ]
        tests = [one for one in self.verifications if one.model == model and _bare(one.target) == name]
        tested = {one.description for one in tests}
        said = [(text, by) for of, text, by in self.descriptions if _bare(of) == name and text not in tested]
        made: dict[str, Any] = {
            "evidences": [self.values(one, "" if _bare(one.target) == name else "lowest") for one in evidences],
            "descriptions": [{"text": Word.visible(text), "by": by} for text, by in dict.fromkeys(said)],
            "tests": [_test(one) for one in tests],
        }
        return {key: rows for key, rows in made.items() if rows} or None


def _concept(concept: Concept) -> dict[str, Any]:
    examples = [
        one for source in ("search", "corpus") for one in [each for each in concept.examples if each.source == source][:OF_A_SOURCE]
    ]
    return {
        "height": short(concept.height),
        "share": short(concept.share),
        "order": short(concept.order),
        "pattern": _pattern(concept.pattern),
        "examples": [_text(one) for one in examples],
    }


def _pattern(pattern: Pattern) -> dict[str, Any]:
    slots = [_slot(slot.words) | ({"gap": True} if slot.gap else {}) for slot in pattern.slots]
    made: dict[str, Any] = {
        "core": _text(pattern.core),
        "kept": pattern.kept,
        "slots": slots,
        "firing": short(pattern.firing),
        "drawn": pattern.drawn,
        "recall": short(pattern.recall),
    }
    optional = {"begins": pattern.begins, "ends": pattern.ends, "without": _slot(pattern.without) if pattern.without else None}
    return made | {name: value for name, value in optional.items() if value}


def _slot(words: Sequence[tuple[str, float]]) -> dict[str, Any]:
    return {"count": len(words), "words": [[Word.visible(word.strip() or word), short(value)] for word, value in words[:WORDS]]}


def _text(one: Example) -> list[Any]:
    return [Word.visible(one.text), short(one.activation), one.source]


def _contrasts(contrasts: Sequence[Contrast]) -> list[list[Any]]:
    """The first contrasts of each kind, in the order of the kinds: kind, text, activation, other text, activation."""
    return [
        [name, *_text(one.text)[:2], *_text(one.other)[:2]]
        for kind, name in KINDS.items()
        for one in [each for each in contrasts if each.kind == kind][:OF_A_KIND]
    ]


def _test(one: Verification) -> dict[str, Any]:
    counters: dict[str, list[list[Any]]] = {}
    for each in one.counterexamples:
        counters.setdefault(each.kind, []).append([Word.visible(each.text), short(each.activation), each.source])
    return {
        "peak": one.target.endswith("@max"),
        "text": Word.visible(one.description),
        "fires": short(one.fires),
        "silent": short(one.silent),
        "best": short(one.maximum),
        "gain": short(one.gain),
        "agreement": one.agreement,
        "predictions": [_prediction(each) for each in one.predictions],
        "counterexamples": [[kind, rows[:COUNTERS], len(rows)] for kind, rows in counters.items()],
        "paraphrases": list(one.paraphrases),
        "members": list(one.members),
        "fitting": [short(one.fitting), short(one.fitting_shuffled)],
        "corpus": Word.visible(one.corpus),
    }


def _prediction(one: Prediction) -> dict[str, Any]:
    areas = {"detection": [short(value) for value in one.detection], "fuzzing": [short(value) for value in one.fuzzing]}
    names = ("shuffled", "directions", "examples", "gain")
    return (
        {"judge": Word.visible(one.judge), "firing": one.firing, "silent": one.silent}
        | areas
        | {name: short(getattr(one, name)) for name in names}
    )


def _bare(target: str) -> str:
    return POOLS.sub("", target)


def _parsed(text: str) -> dict[str, Any] | None:
    """The JSON object in a text; None for any other text."""
    try:
        found = parse_json(text)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
