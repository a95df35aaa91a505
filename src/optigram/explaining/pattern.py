"""Patterns: small grammars of words that a neuron responds to, which can be printed, read back, drawn from and found in texts."""

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from optigram.errors import InputError
from optigram.text.sources import open_corpus
from optigram.text.vocabulary import Vocabulary

MOST_GAP = 4  # other words that a gap may hold
GAP, BEGIN, END, NOT = "…", "^", "$", "not"
SLOT = re.compile(r"\[((?:\\.|[^\]\\])+)\]|(\S+)")
SPECIAL = re.compile(r"([\\\]|])")
HELP = f"expected a pattern such as [giraffe|elephant] {GAP} [his|its] {END} {NOT} [no]"


@dataclass(frozen=True)
class Example:
    """A text and its activation. `source`: "search" (optimized), "corpus", "pattern" (drawn from a pattern), or "edit"."""

    text: str
    activation: float
    source: str


@dataclass(frozen=True)
class Slot:
    """A position of a pattern: the words that may stand there, each with the activation that the core has with it, best first.

    Words are tokens, as the model's vocabulary spells them. `gap`: up to 4 other words may stand before it.
    """

    words: Sequence[tuple[str, float]]
    gap: bool = False


@dataclass(frozen=True)
class Pattern:
    """A small grammar: one slot per position of the core, the shortest text that keeps 90% of the activation of an example.

    `kept` is 0.6 or 0.3 where the pattern of such a core does much better. `firing`: the share of `drawn` texts from the pattern,
    with other words where they may stand, whose activation is at least half of the concept's highest. `recall`: the share of the
    concept's high corpus places that contain the pattern, None without a corpus.

    A text contains the pattern if it has a word of each slot, in their order, without other words between them except in gaps, and
    none of the words `without`, each of which lowers the activation below half where it is added. `begins`: the first slot is
    the first word of the text; `ends`: the last slot is its last word. `str()` gives what `parse` reads.
    """

    core: Example
    slots: Sequence[Slot]
    firing: float
    drawn: int
    recall: float | None
    begins: bool = False
    ends: bool = False
    without: Sequence[tuple[str, float]] = ()
    kept: float = 0.9

    def __str__(self) -> str:
        parts = [BEGIN] * self.begins
        for slot in self.slots:
            parts += [GAP] * slot.gap + [_written(slot.words)]
        parts += [END] * self.ends + ([NOT, _written(self.without)] if self.without else [])
        return " ".join(parts)

    @classmethod
    def parse(cls, text: str) -> "Pattern":
        """The pattern that `str()` wrote: `[giraffe|elephant] [sticking|poking] … [his|its]`.

        A text says nothing about activations, so they are 0, and `drawn` is 0. Raises InputError.
        """
        slots: list[Slot] = []
        without: Sequence[tuple[str, float]] = ()
        before, marks = "", set()
        for words, mark in SLOT.findall(text):
            if words and before == NOT:
                without = _read(words)
            elif words:
                slots.append(Slot(_read(words), before == GAP))
            elif mark not in (GAP, "...", BEGIN, END, NOT):
                raise InputError(f"{HELP}, got {mark!r}")
            before = GAP if mark == "..." else mark
            marks.add(before)
        if not slots or before in (GAP, NOT):
            raise InputError(f"{HELP}, got {text!r:.80}")
        core = " ".join(slot.words[0][0] for slot in slots)
        return cls(Example(core, 0.0, "pattern"), tuple(slots), 0.0, 0, None, BEGIN in marks, END in marks, without)

    def find(self, words: Sequence[str]) -> list[int] | None:
        """The places of the slots where the pattern stands first in a text of `words` (tokens); None if it does not."""
        if {word for word, _ in self.without}.intersection(words):
            return None
        allowed = [{word for word, _ in slot.words} for slot in self.slots]
        for start in range(1 if self.begins else len(words)):
            if found := self._from(words, allowed, start, []):
                return found
        return None

    def _from(self, words: Sequence[str], allowed: Sequence[set[str]], place: int, found: list[int]) -> list[int] | None:
        """The places of all slots, if the next one is at `place`."""
        if place >= len(words) or words[place] not in allowed[len(found)]:
            return None
        found = [*found, place]
        if len(found) == len(self.slots):
            return None if self.ends and place < len(words) - 1 else found
        reach = MOST_GAP if self.slots[len(found)].gap else 0
        tries = (self._from(words, allowed, place + 1 + skipped, found) for skipped in range(reach + 1))
        return next((one for one in tries if one), None)

    def find_in(self, corpus: Any, vocabulary: Vocabulary) -> Iterator[tuple[str, list[int]]]:
        """The texts of a corpus that contain the pattern, with the places of its slots among the tokens.

        `corpus` is what `find` takes; `vocabulary` is that of the model.
        """
        for text in open_corpus(corpus).texts():
            if found := self.find([vocabulary.tokens[id_] for id_ in vocabulary.encode(text)]):
                yield text, found

    def draw(self, vocabulary: Vocabulary, count: int, seed: int = 0) -> list[str]:
        """`count` texts drawn evenly from the words of the slots, without words in gaps; fewer if fewer differ."""
        known = {word: id_ for id_, word in reversed(list(enumerate(vocabulary.tokens)))}
        rng, found = np.random.default_rng(seed), dict[tuple[str, ...], None]()
        for _ in range(4 * count):
            if len(found) < count:
                found[tuple(slot.words[int(rng.integers(len(slot.words)))][0] for slot in self.slots)] = None
        if missing := [word for word in itertools.chain.from_iterable(found) if word not in known]:
            raise InputError(f"expected words of the model's vocabulary, got {missing[0]!r}; a pattern is written in tokens")
        return [vocabulary.decode([known[word] for word in words]) for words in found]


def _written(words: Sequence[tuple[str, float]]) -> str:
    return "[" + "|".join(SPECIAL.sub(r"\\\1", word) for word, _ in words) + "]"


def _read(words: str) -> tuple[tuple[str, float], ...]:
    found = re.findall(r"((?:\\.|[^|\\])+)", words)
    return tuple((re.sub(r"\\(.)", r"\1", word), 0.0) for word in found)
