"""Texts and their activations: windows of a corpus, texts with other words in them, and one scorer for all lengths."""

import functools
import re
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import torch

from optigram.models.base import Model
from optigram.objective.objective import Objective
from optigram.runs.find import score_texts
from optigram.targets.target import Target

MARKS = "«", "»"  # around the words of a text that are in question
BLOCK = 512  # texts scored at once
COMMON = """
    a an the this that these those some any no not each every all both many more most few other such own same i me my we our you your
    he him his she her it its they them their who which what whose of in on at by for with without from to into onto over under up down
    out off and or but if so as than then when where while that be is are was were been being am do does did have has had can could will
    would shall should may might must there here very just only also too about word words text texts token tokens phrase phrases mention
    mentions mentioning related things something like such kind kinds sort concept concepts such especially etc"""
STOP_WORDS = frozenset(COMMON.split())  # words that a description may have, and that say nothing
NEAR, NEIGHBOURS = 0.35, 8  # cosine of the model's embeddings from which on two words are alike, and how many of them count


class Scorer:
    """Activations of texts of any length for targets of a model, but for their last bits, which may differ with the texts scored together.

    `forwards` counts the texts that were read.
    """

    model: Model
    targets: tuple[Target, ...]
    forwards: int

    def __init__(self, model: Model, targets: Sequence[Target]) -> None:
        self.model, self.targets, self.forwards = model, tuple(targets), 0
        ordinary = next(id_ for id_ in range(len(model.vocabulary)) if id_ not in model.vocabulary.special)
        self._words = np.array([ordinary])  # nothing is proposed here, and a table of all words would be large
        self._objective = functools.cache(
            lambda length: Objective(model, self.targets, length, words=self._words).viewed("exact").untried()
        )

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        """Activations float32 [k n] of texts that are `readable`."""
        found = np.empty((len(self.targets), len(texts)), dtype=np.float32)
        rows = [self._ids(text) for text in texts]
        for length in sorted(set(map(len, rows))):
            chosen = [number for number, row in enumerate(rows) if len(row) == length]
            for start in range(0, len(chosen), BLOCK):
                part = chosen[start : start + BLOCK]
                ids = torch.tensor([[rows[number] for number in part]])
                found[:, part] = self._objective(length).score(ids).activation.cpu().numpy()
        self.forwards += len(texts)
        return found

    def _ids(self, text: str) -> list[int]:
        """The ids of a text, without what the model expects before every text: a chat template has it already."""
        ids, prefix = self.model.vocabulary.encode(text), self.model.vocabulary.prefix
        return ids[len(prefix) :] if prefix and tuple(ids[: len(prefix)]) == prefix else ids

    def again(self, text: str) -> float:
        """The activation of a text for the first target, by the scoring of records: what is shown of a counterexample."""
        ids = tuple(self.model.vocabulary.encode(text))
        return score_texts(Objective(self.model, self.targets[:1], len(ids), words=self._words), [ids])[ids][0].activation


class Words:
    """The words of a model in lower case, without blanks, and which of them its embedding holds for alike."""

    def __init__(self, model: Model) -> None:
        vocabulary = model.vocabulary
        kept = [i for i, token in enumerate(vocabulary.tokens) if i not in vocabulary.special and token.strip().isalpha()]
        table = model.embedding.detach().float().cpu()[kept]
        table = table - table.mean(0)
        self._table = table / table.norm(dim=1, keepdim=True).clamp(min=1e-9)
        self.words = [vocabulary.tokens[i].strip().lower() for i in kept]
        self._rows = {word: row for row, word in reversed(list(enumerate(self.words)))}

    def like(self, word: str, count: int = NEIGHBOURS) -> list[str]:
        """The nearest words, best first; none for a word that is no token."""
        row = self._rows.get(word)
        if row is None:
            return []
        alike = self._table @ self._table[row]
        best = alike.topk(min(4 * count, len(self.words)))
        named = dict.fromkeys(self.words[i] for i, near in zip(best.indices.tolist(), best.values.tolist(), strict=True) if near >= NEAR)
        return [other for other in named if other != word][:count]

    def known(self, words: Iterable[str]) -> list[str]:
        """Those words that are tokens, each once."""
        return [word for word in dict.fromkeys(words) if word in self._rows]

    @staticmethod
    def content(text: str) -> list[str]:
        """The words of a text that say something, in lower case, each once."""
        return [
            word
            for word in dict.fromkeys(re.findall(r"[^\W\d_]+", text.lower()))
            if word not in STOP_WORDS and (len(word) > 1 or not word.isascii())
        ]

    @staticmethod
    def forms(word: str) -> Iterator[str]:
        """A word and what its plural, singular and simple inflections would be."""
        yield from (word, f"{word}s", f"{word}es", f"{word}ed", f"{word}ing")
        for ending in ("ies", "es", "s", "ing", "ed"):
            if word.endswith(ending) and len(word) > len(ending) + 2:
                stem = word.removesuffix(ending)
                yield from (stem, f"{stem}e", f"{stem}y") if ending != "s" else (stem,)
        yield f"{word.removesuffix('e')}ing"
