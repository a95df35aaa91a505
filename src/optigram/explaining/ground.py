"""What all tests of descriptions of a model share: windows of a corpus, and their activations for targets and random directions."""

import functools
import itertools
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from optigram.explaining.texts import Scorer, Words
from optigram.models.base import Model
from optigram.targets.build import direction
from optigram.targets.custom import Custom
from optigram.targets.target import Target, resolve
from optigram.text.sources import Corpus
from optigram.text.vocabulary import Vocabulary

WINDOW = 10  # words of a window of a corpus at most, or tokens where there are no words
READ = 20_000  # texts of a corpus that windows are taken from

FIRES, SILENT = 0.5, 0.1  # of the way from the usual activation to the highest: at least the one fires, at most the other is silent
QUIET = 0.05  # the quantile of the windows' activations that counts as usual
DIRECTIONS = 2  # random directions for each site


@dataclass(frozen=True)
class Ground:
    """Windows of a corpus and their `values` [k n] for targets, read at their highest position, and for random directions of their sites.

    `random` gives for each site of a target the rows of `values` that are random directions.
    """

    model: Model
    corpus: Corpus
    targets: tuple[Target, ...]
    windows: list[str]
    values: np.ndarray
    random: dict[str, list[int]]
    seed: int
    _scorers: dict[int, Scorer] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, model: Model, targets: Sequence[Target], corpus: Corpus, count: int, seed: int) -> "Ground":
        """Draw `count` windows and score them once, for all targets."""
        drawn = cls.drawn(model, corpus, count, seed)
        asked, placebos, sites = cls.read_of(model, targets, seed)
        return cls(model, corpus, asked, drawn, Scorer(model, (*asked, *placebos))(drawn), sites, seed)

    @staticmethod
    def drawn(model: Model, corpus: Corpus, count: int, seed: int) -> list[str]:
        """`count` different windows of a corpus, or as many as there are."""
        return _windows(corpus.texts(), model.vocabulary, count, np.random.default_rng(seed))

    @classmethod
    def read_of(
        cls, model: Model, targets: Sequence[Target], seed: int
    ) -> tuple[tuple[Target, ...], tuple[Target, ...], dict[str, list[int]]]:
        """What is read of windows: targets at their highest position, random directions of their sites, and the rows of these by site."""
        asked, sites, placebos = tuple(cls.peak(target) for target in targets), dict[str, list[int]](), list[Target]()
        for target in asked:
            found = _site(target, model)
            if found is not None and found[0] not in sites:
                sites[found[0]] = [len(asked) + len(placebos) + row for row in range(DIRECTIONS)]
                placebos += [_random(*found, seed, row) for row in range(DIRECTIONS)]
        return asked, resolve(placebos, model) if placebos else (), sites

    @staticmethod
    def peak(target: Target) -> Target:
        """The target read at its highest position where it reads the last one: a text fires if it fires anywhere."""
        return replace(target, pool="max") if target.pool == "last" else target

    def mentioning(self, words: Iterable[str], most: int) -> list[str]:
        """Up to `most` windows of the corpus around one of some words."""
        wanted, found = set(words), dict[str, None]()
        for text in itertools.islice(self.corpus.texts(), READ):
            if len(found) >= most:
                break
            parts = text.split()
            place = next((at for at, part in enumerate(parts) if part.lower().strip(".,;:!?\"'") in wanted), None)
            if place is not None:
                window = " ".join(parts[max(0, place - WINDOW // 3) : place + WINDOW // 2])
                if self.readable(window) and len(self.model.vocabulary.encode(window)) <= 2 * WINDOW:
                    found[window] = None
        return list(found)

    def placebos(self, number: int) -> list[int]:
        """The rows of random directions of the site that a target reads; none for a sum or a function."""
        found = _site(self.targets[number], self.model)
        return [] if found is None else self.random[found[0]]

    def rng(self, number: int, what: str) -> np.random.Generator:
        """Random numbers that depend on the seed, the target and what they are for: not on the other targets."""
        name = self.targets[number].key if number < len(self.targets) else f"random {number - len(self.targets)}"
        return np.random.default_rng([self.seed, zlib.crc32(name.encode()), zlib.crc32(what.encode())])

    def scorer(self, number: int) -> Scorer:
        """Scores texts for one target."""
        return self._scorers.setdefault(number, Scorer(self.model, [self.targets[number]]))

    def readable(self, text: str) -> bool:
        """Whether the model can score a text."""
        return _readable(text, self.model.vocabulary)

    def usual(self, number: int) -> float:
        """What a target gives on a text that means nothing to it: the 5% quantile of the windows; 0 if only the highest are above 0."""
        low, highest = float(np.quantile(self.values[number], QUIET)), float(self.values[number].max())
        return max(0.0, low) if highest > 0 else low

    def levels(self, number: int, maximum: float | None = None) -> tuple[float, float]:
        """From where on a text fires, and up to where it is silent. `maximum`: the highest known; None: of the corpus."""
        usual = self.usual(number)
        highest = float(self.values[number].max()) if maximum is None else maximum
        return usual + FIRES * (highest - usual), usual + SILENT * (highest - usual)

    @functools.cached_property
    def lexis(self) -> Words:
        """The words of the model, and which of them are alike to it."""
        return Words(self.model)

    @functools.cached_property
    def words(self) -> list[str]:
        """The content words of all windows, the most frequent first."""
        counts: dict[str, int] = {}
        for window in self.windows:
            for word in Words.content(window):
                counts[word] = counts.get(word, 0) + 1
        return sorted(counts, key=lambda word: (-counts[word], word))

    def phrases(self, count: int, length: int, rng: np.random.Generator) -> list[str]:
        """`count` descriptions that mean nothing here: `length` words of the corpus at random."""
        words = self.words or ["text"]
        return [", ".join(words[i] for i in rng.choice(len(words), min(length, len(words)), replace=False)) for _ in range(count)]


def _site(target: Target, model: Model) -> tuple[str, int] | None:
    """The site of states that a target of one term reads, and its width."""
    if len(target.terms) != 1 or isinstance(target.terms[0].readout, Custom):
        return None
    name = target.terms[0].site
    linear = model.sites[name].linear
    return (name, model.sites[name].width) if linear is None else (linear.source, linear.weight.shape[1])


def _random(site: str, width: int, seed: int, row: int) -> Target:
    vector = torch.randn(width, generator=torch.Generator().manual_seed(1000 * seed + row))
    return direction(site, vector / vector.norm(), name=f"random {row}").max()


def _readable(text: str, vocabulary: Vocabulary) -> bool:
    """Whether a model knows all words of a text that has two tokens or more, the fewest that every model can pool over."""
    ids = vocabulary.encode(text)
    return len(ids) > 1 and not vocabulary.special.intersection(ids)


def _windows(texts: Iterable[str], vocabulary: Vocabulary, count: int, rng: np.random.Generator) -> list[str]:
    """`count` different windows of at most 10 words, from texts drawn at random; fewer if there are no more."""
    read = list(itertools.islice(texts, READ))
    found: dict[str, None] = {}
    for _ in range(3):  # short corpora give several windows of a text
        for number in rng.permutation(len(read)).tolist():
            if len(found) >= count:
                return list(found)
            window = _window(read[number], vocabulary, rng)
            if window is not None:
                found[window] = None
    return list(found)


def _window(text: str, vocabulary: Vocabulary, rng: np.random.Generator) -> str | None:
    """Random words of the longest part of a text that the model knows; tokens, where a text is not written in words."""
    special = vocabulary.special
    runs = [list(run) for known, run in itertools.groupby(text.split(), lambda word: special.isdisjoint(vocabulary.encode(word))) if known]
    run = max(runs, key=len, default=[])
    start = int(rng.integers(max(1, len(run) - WINDOW + 1)))
    window = " ".join(run[start : start + WINDOW])
    ids = [id_ for id_ in vocabulary.encode(window) if id_ not in special]
    if len(ids) > 2 * WINDOW:
        start = int(rng.integers(len(ids) - WINDOW + 1))
        window = vocabulary.decode(ids[start : start + WINDOW]).strip()
    return window if _readable(window, vocabulary) else None
