"""Planted truth: a model whose 30 units follow known rules, and whether concepts and patterns say what the rules are.

The model is no trained network, but it is behind the seam of all models and has gradients: it reads which word an embedding is, softly, and
computes each rule from that. A unit fires on every text whose prefix has fulfilled its rule.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from benchmarks.setup import Result, Settings, Unit
from torch import Tensor

from optigram.explaining.concepts import concepts
from optigram.explaining.evidence import Evidence
from optigram.models.base import Site
from optigram.objective.objective import Objective
from optigram.runs.plan import corpus_search
from optigram.text.sources import Corpus
from optigram.text.vocabulary import Vocabulary

CLASSES = {
    "animals": "giraffe elephant bear horse zebra sheep cow dog",
    "foods": "pizza bread cheese banana apple carrot cake sandwich",
    "vehicles": "car bus train truck bicycle motorcycle boat plane",
    "colours": "red green blue yellow purple orange pink brown",
    "furniture": "chair table sofa bed desk bench shelf lamp",
    "clothes": "hat shirt tie jacket scarf dress glove shoe",
    "weather": "rain snow wind storm fog sun cloud hail",
    "tools": "hammer knife fork spoon scissors saw brush rope",
    "people": "woman man boy girl child skier surfer player",
    "places": "street beach field kitchen park forest station mountain",
    "verbs": "stands sits runs holds eats rides throws looks",
    "negations": "no not never none without neither nor nothing",
}
FUNCTION = ("a", "the", "of", "in", "on", "with", "at", "by", "and", "his", "its", "near", "under", "over", "to", "from")
WORDS = tuple(word for words in CLASSES.values() for word in words.split()) + FUNCTION
WIDTH, SPREAD, SHARPNESS = 48, 0.45, 0.5
HIGH, LOWER = 4.0, 3.2  # of a unit that fires, and of the second of two concepts
SENTENCES, FRESH, LENGTH = 2500, 300, 7
KINDS = ("class", "bigram", "after", "two", "negation")


@dataclass(frozen=True)
class Rule:
    """What a unit fires on: words of `first`; a word of `first` and right after it (bigram) or anywhere after it (after) one of `second`;
    either of them (two); or `first` without `second` (negation)."""

    kind: str
    first: tuple[str, ...]
    second: tuple[str, ...] = ()

    @property
    def concepts(self) -> int:
        """The number of concepts."""
        return 2 if self.kind == "two" else 1

    def holds(self, words: Sequence[str]) -> bool:
        """Whether a text fulfils it."""
        first = [place for place, word in enumerate(words) if word in self.first]
        second = [place for place, word in enumerate(words) if word in self.second]
        match self.kind:
            case "class":
                return bool(first)
            case "bigram":
                return any(place + 1 in second for place in first)
            case "after":
                return any(a < b for a in first for b in second)
            case "two":
                return bool(first or second)
        return bool(first) and not second

    def fulfilled(self, rng: np.random.Generator, words: list[str]) -> list[str]:
        """The words, some of them replaced so that the rule, most often, holds."""
        a, b = sorted(rng.choice(len(words), 2, replace=False).tolist())
        made = list(words)
        if self.kind == "bigram":
            b = a + 1
        made[a] = str(rng.choice(self.first if self.kind != "two" or rng.random() < 0.5 else self.second))
        if self.kind in ("bigram", "after"):
            made[b] = str(rng.choice(self.second))
        return made

    def broken(self, rng: np.random.Generator, words: list[str]) -> list[str]:
        """The words with one that is part of the rule: alone, in the wrong order, or beside the word that forbids it."""
        a, b = sorted(rng.choice(len(words), 2, replace=False).tolist())
        made = list(words)
        made[b] = str(rng.choice(self.first))
        if self.second:
            made[a] = str(rng.choice(self.second))
        return made


def rules() -> tuple[Rule, ...]:
    """30 rules: 8 classes, 6 bigrams, 6 times "A after B", 6 pairs of concepts, 4 negations."""
    words, rng = {name: tuple(kind.split()) for name, kind in CLASSES.items()}, np.random.default_rng(7)
    names = [name for name in CLASSES if name != "negations"]
    pairs = [tuple(rng.choice(names, 2, replace=False).tolist()) for _ in range(22)]

    def some(name: str, count: int) -> tuple[str, ...]:
        return tuple(sorted(rng.choice(words[name], count, replace=False).tolist()))

    found = [Rule("class", words[name]) for name in names[:8]]
    found += [Rule("bigram", some(a, 3), some(b, 3)) for a, b in pairs[:6]]
    found += [Rule("after", some(a, 4), some(b, 4)) for a, b in pairs[6:12]]
    found += [Rule("two", some(a, 5), some(b, 5)) for a, b in pairs[12:18]]
    found += [Rule("negation", some(a, 6), some("negations", 4)) for a, _ in pairs[18:22]]
    return tuple(found)


class Planted:
    """A model with one unit per rule at its only site."""

    name, attends, step = "planted", False, None

    def __init__(self, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.rules = rules()
        self.vocabulary = Vocabulary.of_words(WORDS)
        table = rng.normal(size=(len(self.vocabulary), WIDTH))
        for words in CLASSES.values():
            centre = rng.normal(size=WIDTH)
            for word in words.split():
                table[self._id(word)] = centre + SPREAD * table[self._id(word)]
        self.embedding = torch.from_numpy(table.astype(np.float32))
        self.fingerprint = hashlib.sha256(table.tobytes()).hexdigest()
        self.sites = {"units": Site(len(self.rules))}

    def _id(self, word: str) -> int:
        return self.vocabulary.tokens.index(word)

    def read(self, embeds: Tensor, sites: Any, keep: Tensor | None = None) -> dict[str, Tensor]:
        """The states of texts [b s d]: of each unit whether its rule holds for the words up to each position."""
        nearness = embeds @ self.embedding.T - self.embedding.square().sum(1) / 2
        words = (SHARPNESS * nearness).softmax(-1)
        if keep is not None:
            words = words * keep[..., None]
        units = [HIGH * self._unit(rule, words) for rule in self.rules]
        return {"units": torch.stack(units, dim=-1)}

    def _unit(self, rule: Rule, words: Tensor) -> Tensor:
        first, second = (words[..., [self._id(word) for word in part]].sum(-1) for part in (rule.first, rule.second))
        match rule.kind:
            case "class":
                found = first
            case "bigram":
                found = torch.cat([torch.zeros_like(first[:, :1]), first[:, :-1] * second[:, 1:]], dim=1)
            case "after":
                before = torch.cat([torch.zeros_like(first[:, :1]), first.cummax(1).values[:, :-1]], dim=1)
                found = before * second
            case "two":
                found = torch.maximum(first, LOWER / HIGH * second)
            case _:
                return first.cummax(1).values * (1 - second.cummax(1).values)
        return found.cummax(1).values


def random_texts(rng: np.random.Generator, count: int, length: int = LENGTH) -> list[list[str]]:
    """Texts of random words."""
    return [rng.choice(WORDS, length).tolist() for _ in range(count)]


def corpus(seed: int = 0, sentences: int = SENTENCES) -> Corpus:
    """Sentences, of which a fifth fulfil a rule."""
    rng = np.random.default_rng([seed, 1])
    texts = random_texts(rng, sentences)
    made = [rules()[int(rng.integers(len(rules())))].fulfilled(rng, text) if row % 5 == 0 else text for row, text in enumerate(texts)]
    return Corpus("planted sentences", held=[" ".join(text) for text in made])


def evidence_of(model: Planted, unit: int, budget: float = 3000, seed: int = 0, sentences: int = SENTENCES) -> Evidence:
    """What `concepts` finds out about a unit."""
    objective = Objective(model, f"units:{unit}", 5)
    return concepts(objective, corpus_search(objective, corpus(sentences=sentences)), budget, seed)


def fresh(rule: Rule, seed: int = 0) -> Iterator[tuple[list[str], bool]]:
    """Texts that no search has seen, a third of them random, a third fulfilling the rule, a third nearly; and whether it holds."""
    rng = np.random.default_rng([seed, 2])
    for row, text in enumerate(random_texts(rng, FRESH)):
        made = text if row % 3 == 0 else rule.fulfilled(rng, text) if row % 3 == 1 else rule.broken(rng, text)
        yield made, rule.holds(made)


def quality(found: Evidence, rule: Rule, seed: int = 0) -> dict[str, float]:
    """Whether the number of concepts is right, and precision and recall of the patterns together on fresh texts."""
    told = [(any(one.pattern.find(words) is not None for one in found.concepts), holds) for words, holds in fresh(rule, seed)]
    both = sum(said and holds for said, holds in told)
    return {
        "right": float(len(found.concepts) == rule.concepts),
        "precision": both / max(sum(said for said, _ in told), 1),
        "recall": both / max(sum(holds for _, holds in told), 1),
        "spent": found.forwards,
        "seconds": found.seconds,
    }


def setup(settings: Settings) -> tuple[Planted, Settings]:
    """The model."""
    return Planted(), settings


def units(settings: Settings) -> Iterator[Unit]:
    """A unit per kind of rule."""
    for kind in settings.by or KINDS:
        yield {"rule": kind}


def planted(context: tuple[Planted, Settings], unit: Unit, seed: int) -> list[Result]:
    """The units of one kind: the share of them with the right number of concepts, and the worst and mean pattern."""
    model, settings = context
    rows = [row for row, rule in enumerate(model.rules) if rule.kind == unit["rule"]][: settings.targets]
    found = [quality(evidence_of(model, row, settings.budgets[0], seed), model.rules[row], seed) for row in rows]
    means = {name: float(np.mean([one[name] for one in found])) for name in found[0]}
    least = {f"least_{name}": min(one[name] for one in found) for name in ("precision", "recall")}
    return [Result(means | least | {"count": float(len(rows)), "right": sum(one["right"] for one in found)})]
