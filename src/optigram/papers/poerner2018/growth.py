"""How the best n-gram of a corpus grows with the corpus: corpus search over nested random parts of captions, and what a corpus of the
paper's size would give.

The parts of one order are nested: each is the first captions of the same random order, so a level can only rise.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from optigram.files import written_whole
from optigram.models.base import Model
from optigram.objective.ngram_scores import ngram_scores
from optigram.objective.objective import Objective
from optigram.shapes import Bool, Float
from optigram.targets.target import resolve
from optigram.text.ngrams import NGrams

ORDERS, PARTS = 3, 7  # random orders of the captions, and parts of each, every one half as large as the next
LENGTH = 5
CHUNK = 1 << 14  # n-grams scored together
PAPER = 566_435  # the paper's training captions
FITTED = 4  # largest parts to which the slope is fitted


@dataclass(frozen=True)
class Growth:
    """`best` [orders][parts][targets]: the highest activation over the n-grams of the first `sizes[part]` captions.

    `windows` are the n-grams of all captions as they stand, `unknown` those of them that hold a word outside the model's vocabulary:
    they are left out. `ngrams` are the different n-grams of the whole corpus.
    """

    model: str
    corpus: str
    windows: int
    unknown: int
    ngrams: int
    sizes: Sequence[int]
    targets: Sequence[str]
    best: Sequence[Sequence[Sequence[float]]]

    @classmethod
    def measure(cls, model: Model, targets: Sequence[str], texts: Sequence[str], corpus: str) -> "Growth":
        """Score every different n-gram of the texts once, and take the best of each part. Raises InputError for texts without n-grams."""
        objective = Objective(model, resolve(targets, model), LENGTH).viewed("exact")
        allowed = objective.lexicon.cpu().numpy()
        sizes = [max(len(texts) >> halvings, 1) for halvings in reversed(range(PARTS))]
        orders = [np.random.default_rng(seed).permutation(len(texts)).tolist() for seed in range(ORDERS)]
        read = [NGrams.read((texts[i] for i in order), model.vocabulary, LENGTH, allowed) for order in orders]
        part_of = np.stack([np.searchsorted(sizes, one.text, side="right") for one in read])  # the smallest part that holds it
        best = np.full((ORDERS, PARTS, len(objective.targets)), -np.inf)
        done, total = 0, len(read[0])
        chunks = [min(CHUNK, total - start) for start in range(0, total, CHUNK)]
        for chunk, scores in ngram_scores(objective, read[0].ids, chunks):
            values = scores.nan_to_num(nan=-math.inf).numpy()
            for order, parts in enumerate(part_of[:, done : done + len(chunk)]):
                for part in np.unique(parts).tolist():
                    best[order, part] = np.maximum(best[order, part], values[:, parts == part].max(1))
            done += len(chunk)
        rows = [model.vocabulary.encode(text) for text in texts]
        everything, known = np.ones(len(model.vocabulary), bool), np.isin(np.arange(len(model.vocabulary)), allowed)
        windows = len(NGrams.of(rows, LENGTH, everything))
        levels = np.maximum.accumulate(best, axis=1).round(4).tolist()
        names = [str(target) for target in objective.targets]
        return cls(model.name, corpus, windows, windows - len(NGrams.of(rows, LENGTH, known)), total, sizes, names, levels)

    @classmethod
    def read(cls, path: Path) -> "Growth":
        """What `write` wrote."""
        return cls(**json.loads(path.read_text(encoding="utf-8")))

    def write(self, path: Path) -> None:
        """Write as JSON."""
        with written_whole(path) as temporary:
            temporary.write_text(json.dumps(asdict(self)), encoding="utf-8")

    def levels(self, site: str) -> tuple[list[str], Float[np.ndarray, "p k"]]:
        """The targets of a site, and their levels over the parts: the mean over the orders."""
        here = self._here(site)
        return [target for target, wanted in zip(self.targets, here, strict=True) if wanted], np.mean(self.best, axis=0)[:, here]

    def _here(self, site: str) -> Bool[np.ndarray, " k"]:
        return np.array([target.split(":")[0] == site for target in self.targets])

    def extrapolated(self, site: str, captions: int = PAPER) -> dict[str, float]:
        """Each target's level in a corpus of `captions`, as if it rose with every doubling as it did over the largest parts.

        Where the rise per doubling falls with the size, this is more than a corpus would give.
        """
        targets, levels = self.levels(site)
        doublings = np.log2(self.sizes[-FITTED:])
        slopes = np.polyfit(doublings, levels[-FITTED:], 1)[0].clip(min=0)
        made = levels[-1] + slopes * max(math.log2(captions / self.sizes[-1]), 0.0)
        return dict(zip(targets, made.tolist(), strict=True))
