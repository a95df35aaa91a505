"""A network whose 30 units have rules that are known: classes of words, bigrams, one word after another, two concepts, negations."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from optigram.models.base import Site
from optigram.text.vocabulary import Vocabulary

CLASSES = {
    "animal": "dog cat horse cow",
    "fruit": "apple pear plum grape",
    "tool": "hammer saw drill wrench",
    "color": "red blue green pink",
    "vehicle": "car bus train truck",
    "weather": "rain snow fog storm",
}
NEVER, FILLERS = "never", ("the", "a", "near", "was")
GROUPS = {name: frozenset(words.split()) for name, words in CLASSES.items()}
WORDS = (*itertools.chain.from_iterable(map(str.split, CLASSES.values())), NEVER, *FILLERS)
NAMES = tuple(CLASSES)

Rule = Callable[[list[str]], bool]


@dataclass(frozen=True)
class Unit:
    """A kind of rule and the classes that it is about."""

    kind: str
    one: str
    two: str

    @property
    def right(self) -> str:
        return {
            "class": f"{self.one}",
            "bigram": f"{self.one} directly before {self.two}",
            "after": f"{self.two} anywhere after {self.one}",
            "either": f"{self.one} alternatively {self.two}",
            "negation": f"{self.one} unless never precedes",
        }[self.kind]

    @property
    def wrong(self) -> str:
        return {
            "class": f"{self.two}",
            "bigram": f"{self.two}",
            "after": f"{self.one} anywhere after {self.two}",
            "either": f"{self.one}",
            "negation": f"{self.one}",
        }[self.kind]


UNITS = [
    Unit(kind, NAMES[i], NAMES[(i + 1 + j) % len(NAMES)])
    for j, kind in enumerate(("class", "bigram", "after", "either", "negation"))
    for i in range(6)
]


def rule(description: str) -> Rule:
    """What a description says about the words of a text, in plain Python."""
    match description.split():
        case [one] if one in GROUPS:
            return lambda words: any(word in GROUPS[one] for word in words)
        case [one, "directly", "before", two]:
            return lambda words: any(a in GROUPS[one] and b in GROUPS[two] for a, b in itertools.pairwise(words))
        case [two, "anywhere", "after", one]:
            return lambda words: any(a in GROUPS[one] and b in GROUPS[two] for a, b in itertools.combinations(words, 2))
        case [one, "alternatively", two]:
            return lambda words: any(word in GROUPS[one] | GROUPS[two] for word in words)
        case [one, "unless", *_]:
            return lambda words: any(word in GROUPS[one] and NEVER not in words[:at] for at, word in enumerate(words))
    return lambda words: False  # of random words, which say nothing


def knowing(description: str, texts: list[str]) -> list[float]:
    """A judge that knows the rules."""
    holds = rule(description)
    return [float(holds(text.replace("«", "").replace("»", "").lower().split())) for text in texts]


class Planted:
    """The units read the classes of words from the embedding; each is 1 where its rule holds."""

    name, attends, step, fingerprint = "planted", False, None, "planted"

    def __init__(self) -> None:
        self.vocabulary = Vocabulary.of_words(WORDS)
        table = torch.zeros(len(self.vocabulary), len(NAMES) + 1 + len(self.vocabulary))
        for id_, token in enumerate(self.vocabulary.tokens):
            for at, name in enumerate(NAMES):
                table[id_, at] = float(token in GROUPS[name])
            table[id_, len(NAMES)] = float(token == NEVER)
            table[id_, len(NAMES) + 1 + id_] = 0.7
        self.embedding = table
        self.sites = {"act": Site(len(UNITS))}

    def read(self, embeds, sites, keep=None):
        before = torch.nn.functional.pad(embeds, (0, 0, 1, 0))[:, :-1]
        sofar = before.cumsum(1).clamp(max=1)
        return {"act": torch.stack([self.state(unit, embeds, before, sofar) for unit in UNITS], -1)} if "act" in sites else {}

    @staticmethod
    def state(unit, embeds, before, sofar):
        one, two = NAMES.index(unit.one), NAMES.index(unit.two)
        match unit.kind:
            case "class":
                return embeds[..., one]
            case "bigram":
                return before[..., one] * embeds[..., two]
            case "after":
                return sofar[..., one] * embeds[..., two]
            case "either":
                return embeds[..., one] + embeds[..., two]
        return embeds[..., one] * (1 - sofar[..., len(NAMES)])


def corpus(count: int = 400, seed: int = 0) -> list[str]:
    """Sentences of random words, a third of them fillers."""
    rng = np.random.default_rng(seed)
    chance = np.array([1.0] * (len(WORDS) - len(FILLERS)) + [3.0] * len(FILLERS))
    chance /= chance.sum()
    return [" ".join(rng.choice(WORDS, rng.integers(4, 9), p=chance)) for _ in range(count)]


def planted() -> Planted:
    """What `optigram verify planted:planted` opens."""
    return Planted()
