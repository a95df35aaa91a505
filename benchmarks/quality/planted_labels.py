"""Labels of units whose rules are known: for how many right ones, and how many wrong ones, a judge finds counterexamples."""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from benchmarks.setup import Result, Settings, open_model
from benchmarks.setup import Unit as Row
from torch import Tensor

from optigram.explaining.verification import Verification
from optigram.explaining.verify import verify
from optigram.models.base import Site
from optigram.targets.target import resolve
from optigram.text.vocabulary import Vocabulary

Rule = Callable[[Sequence[str]], bool]
KINDS = ("class", "bigram", "after", "either", "negation")
KNOWING, SENTENCES = "knowing", 400


@dataclass(frozen=True)
class Unit:
    """A kind of rule, the classes of words that it is about, and what it is called when it is right and when it is wrong."""

    kind: str
    one: str
    two: str
    right: str
    wrong: str


@dataclass(frozen=True)
class Planting:
    """Six classes of words, a word that forbids what follows, and fillers; 30 rules about them, and how their labels are worded.

    `wording` has a label per kind, with {one}, {two} and {never}.
    """

    classes: Mapping[str, str]
    never: str
    fillers: tuple[str, ...]
    wording: Mapping[str, str]
    units: tuple[Unit, ...] = field(init=False)

    def __post_init__(self) -> None:
        names = tuple(self.classes)
        pairs = [(kind, names[i], names[(i + 1 + j) % len(names)]) for j, kind in enumerate(KINDS) for i in range(len(names))]
        object.__setattr__(self, "units", tuple(Unit(*pair, self._label(*pair), self._wrong(*pair)) for pair in pairs))

    def _label(self, kind: str, one: str, two: str) -> str:
        return self.wording[kind].format(one=one, two=two, never=self.never)

    def _wrong(self, kind: str, one: str, two: str) -> str:
        """The class that the unit is not about, half of its rule, or its rule in the other order."""
        if kind == "after":
            return self._label(kind, two, one)
        return two if kind in ("class", "bigram") else one

    @property
    def words(self) -> tuple[str, ...]:
        """All words of the texts."""
        return (*itertools.chain.from_iterable(map(str.split, self.classes.values())), self.never, *self.fillers)

    def rule(self, description: str) -> Rule:
        """What a description says about the words of a text, in plain Python."""
        groups = {name: frozenset(words.split()) for name, words in self.classes.items()}
        if description in groups:
            return lambda words: not groups[description].isdisjoint(words)
        known = {self._label(*key): key for key in itertools.product(KINDS, groups, groups)}
        if description not in known:
            return lambda words: False  # of random words, which say nothing
        kind, one, two = known[description]
        match kind:
            case "bigram":
                return lambda words: any(a in groups[one] and b in groups[two] for a, b in itertools.pairwise(words))
            case "after":
                return lambda words: any(a in groups[one] and b in groups[two] for a, b in itertools.combinations(words, 2))
            case "either":
                return lambda words: not (groups[one] | groups[two]).isdisjoint(words)
        return lambda words: any(word in groups[one] and self.never not in words[:at] for at, word in enumerate(words))

    def knowing(self, description: str, texts: Sequence[str]) -> list[float]:
        """A judge that knows the rules."""
        holds = self.rule(description)
        return [float(holds(text.replace("«", "").replace("»", "").lower().split())) for text in texts]

    def corpus(self, count: int = SENTENCES, seed: int = 0) -> list[str]:
        """Sentences of random words, a third of them fillers."""
        rng, words = np.random.default_rng(seed), self.words
        chance = np.array([1.0] * (len(words) - len(self.fillers)) + [3.0] * len(self.fillers))
        chance /= chance.sum()
        return [" ".join(rng.choice(words, rng.integers(4, 9), p=chance)) for _ in range(count)]


FIRST = Planting(
    {
        "animal": "dog cat horse cow",
        "fruit": "apple pear plum grape",
        "tool": "hammer saw drill wrench",
        "color": "red blue green pink",
        "vehicle": "car bus train truck",
        "weather": "rain snow fog storm",
    },
    "never",
    ("the", "a", "near", "was"),
    {
        "class": "{one}",
        "bigram": "{one} directly before {two}",
        "after": "{two} anywhere after {one}",
        "either": "{one} alternatively {two}",
        "negation": "{one} unless {never} precedes",
    },
)  # the thresholds of embeddings as judges were set on these
FRESH = Planting(
    {
        "furniture": "chair table sofa desk",
        "clothing": "shirt coat hat glove",
        "instrument": "piano violin drum flute",
        "insect": "ant bee wasp beetle",
        "drink": "tea coffee wine juice",
        "sport": "tennis soccer hockey golf",
    },
    "hardly",
    ("some", "on", "it", "beside"),
    {
        "class": "{one}",
        "bigram": "{one} immediately followed by {two}",
        "after": "{two} somewhere after {one}",
        "either": "{one}; or {two}",
        "negation": "{one} unless preceded by {never}",
    },
)  # and nothing was set on these
PLANTINGS: Mapping[str, Planting] = MappingProxyType({"first": FIRST, "fresh": FRESH})


class PlantedUnits:
    """A model whose units read the classes of words from the embedding; each is 1 where its rule holds, at its only site `act`."""

    name, attends, step, fingerprint = "planted", False, None, "planted"

    def __init__(self, planting: Planting = FIRST) -> None:
        self._planting, self._names = planting, tuple(planting.classes)
        self.vocabulary = Vocabulary.of_words(planting.words)
        words, names = len(self.vocabulary), len(self._names)
        table = torch.zeros(words, names + 1 + words)
        for id_, token in enumerate(self.vocabulary.tokens):
            for at, name in enumerate(self._names):
                table[id_, at] = float(token in planting.classes[name].split())
            table[id_, names] = float(token == planting.never)
            table[id_, names + 1 + id_] = 0.7
        self.embedding = table
        self.sites = {"act": Site(len(planting.units))}

    def read(self, embeds: Tensor, sites: Any, keep: Tensor | None = None) -> dict[str, Tensor]:
        """The states [b s 30] of texts."""
        before = torch.nn.functional.pad(embeds, (0, 0, 1, 0))[:, :-1]
        sofar = before.cumsum(1).clamp(max=1)
        units = self._planting.units
        return {"act": torch.stack([self._state(unit, embeds, before, sofar) for unit in units], -1)} if "act" in sites else {}

    def _state(self, unit: Unit, embeds: Tensor, before: Tensor, sofar: Tensor) -> Tensor:
        one, two = self._names.index(unit.one), self._names.index(unit.two)
        match unit.kind:
            case "class":
                return embeds[..., one]
            case "bigram":
                return before[..., one] * embeds[..., two]
            case "after":
                return sofar[..., one] * embeds[..., two]
            case "either":
                return embeds[..., one] + embeds[..., two]
        return embeds[..., one] * (1 - sofar[..., len(self._names)])


def units(settings: Settings) -> Iterator[Row]:
    """A unit per budget, set of rules and judge."""
    for budget, words, judge in itertools.product(settings.budgets, PLANTINGS, settings.by):
        yield {"words": words, "judge": judge, "budget": float(budget)}


def setup(settings: Settings) -> Settings:
    """The settings; models of so few words are made where they are read."""
    return settings


def tested(settings: Settings, unit: Row, seed: int) -> list[Result]:
    """The right and the wrong labels of all units of a set, by a judge."""
    planting = PLANTINGS[unit["words"]]
    model, asked = PlantedUnits(planting), planting.units[:: max(1, len(planting.units) // settings.targets)]
    rows = [planting.units.index(one) for one in asked]
    targets = [resolve(f"act:{row}", model)[0] for row in rows]
    judge: Any = planting.knowing if unit["judge"] == KNOWING else unit["judge"]
    judge = open_model(judge) if judge not in ("lexical", planting.knowing) else judge
    metrics: dict[str, float] = {"labels": float(len(asked))}
    texts: list[dict[str, Any]] = []
    for kind, labels in (("right", [one.right for one in asked]), ("wrong", [one.wrong for one in asked])):
        found = list(verify(model, list(zip(targets, labels, strict=True)), judge, planting.corpus(), unit["budget"], seed))
        metrics |= {
            f"{kind}_contradicted": float(sum(bool(one.counterexamples) for one in found)),
            f"{kind}_detection": float(np.mean([one.predictions[0].detection.value for one in found])),
            f"{kind}_undecided": float(np.mean([one.undecided for one in found])),
        }
        odd = [one for one in found if bool(one.counterexamples) == (kind == "right")]
        texts += [{"target": one.target, kind: one.description, "against": _first(one)} for one in odd]
    return [Result(metrics, texts)]


def _first(found: Verification) -> str:
    return found.counterexamples[0].text if found.counterexamples else ""
