"""What all tests of descriptions of a model share: windows of a corpus, and their activations for targets and random directions."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from optigram.explaining.texts import Neighbours, Scorer, content_words, readable, windows
from optigram.models.base import Model
from optigram.targets.build import direction
from optigram.targets.custom import Custom
from optigram.targets.target import Target, resolve
from optigram.text.sources import Corpus

FIRES, SILENT = 0.5, 0.1  # of the way from the usual activation to the highest: at least the one fires, at most the other is silent
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
        asked = tuple(at_peak(target) for target in targets)
        rng = np.random.default_rng(seed)
        drawn = windows(corpus.texts(), model.vocabulary, count, rng)
        sites, placebos = dict[str, list[int]](), list[Target]()
        for target in asked:
            found = _site(target, model)
            if found is not None and found[0] not in sites:
                sites[found[0]] = [len(asked) + len(placebos) + row for row in range(DIRECTIONS)]
                placebos += [_random(*found, seed, row) for row in range(DIRECTIONS)]
        scorer = Scorer(model, (*asked, *resolve(placebos, model))) if placebos else Scorer(model, asked)
        return cls(model, corpus, asked, drawn, scorer(drawn), sites, seed)

    def placebos(self, number: int) -> list[int]:
        """The rows of random directions of the site that a target reads; none for a sum or a function."""
        found = _site(self.targets[number], self.model)
        return [] if found is None else self.random[found[0]]

    def scorer(self, number: int) -> Scorer:
        """Scores texts for one target."""
        return self._scorers.setdefault(number, Scorer(self.model, [self.targets[number]]))

    def readable(self, text: str) -> bool:
        """Whether the model can score a text."""
        return readable(text, self.model.vocabulary)

    def usual(self, number: int) -> float:
        """The median of the windows; 0 where that is below 0 and the highest is above."""
        middle, highest = float(np.median(self.values[number])), float(self.values[number].max())
        return max(0.0, middle) if highest > 0 else middle

    def levels(self, number: int, maximum: float | None = None) -> tuple[float, float]:
        """From where on a text fires, and up to where it is silent. `maximum`: the highest known; None: of the corpus."""
        usual = self.usual(number)
        highest = float(self.values[number].max()) if maximum is None else maximum
        return usual + FIRES * (highest - usual), usual + SILENT * (highest - usual)

    @functools.cached_property
    def neighbours(self) -> Neighbours:
        """Which words are alike to the model."""
        return Neighbours(self.model)

    @functools.cached_property
    def words(self) -> list[str]:
        """The content words of all windows, the most frequent first."""
        counts: dict[str, int] = {}
        for window in self.windows:
            for word in content_words(window):
                counts[word] = counts.get(word, 0) + 1
        return sorted(counts, key=lambda word: (-counts[word], word))

    def phrases(self, count: int, length: int, seed: int = 0) -> list[str]:
        """`count` descriptions that mean nothing here: `length` words of the corpus at random."""
        rng = np.random.default_rng([self.seed, seed])
        words = self.words or ["text"]
        return [", ".join(words[i] for i in rng.choice(len(words), min(length, len(words)), replace=False)) for _ in range(count)]


def at_peak(target: Target) -> Target:
    """The target read at its highest position where it reads the last one: a text fires if it fires anywhere."""
    return replace(target, pool="max") if target.pool == "last" else target


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
