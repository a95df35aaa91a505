"""Statistics of a corpus for some targets: its best n-grams, the distribution of activations, and the gain of a larger corpus."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from optigram.objective.ngram_scores import ngram_scores
from optigram.objective.objective import Objective
from optigram.optimize.topk import TopK
from optigram.shapes import Float, Int

SMALLEST, LARGEST = 256, 1 << 16  # n-grams of the first chunk of the corpus, and of the largest
SAMPLE = 1 << 14  # n-grams in a random order that stand for the corpus in histogram and quantiles
KEPT, SHOWN = 48, 6  # best n-grams kept, and shown without near copies
DIFFERENT = 2  # words in which a shown n-gram differs from all above it
BINS = 40
SHARES = (0.001, 0.01, 0.1, 0.5)  # of the sampled n-grams are above those that are shown besides the best

Row = tuple[float, list[int], float]  # share above, ids, activation


@dataclass(frozen=True)
class CorpusStatistics:
    """`shown` holds for each target n-grams as (share above; 0: of the best), ids, activation. `edges` [k b + 1], `counts` [k b],
    `best` [k m] after the first `sizes` [m] n-grams in a random order."""

    shown: list[list[Row]]
    edges: Float[np.ndarray, "k e"]
    counts: Int[np.ndarray, "k b"]
    sizes: list[int]
    best: Float[np.ndarray, "k m"]

    @classmethod
    def of(
        cls, objective: Objective, ngrams: Int[np.ndarray, "c t"], seed: int = 0, tell: Callable[[int], None] = lambda done: None
    ) -> "CorpusStatistics":
        """Score every unique n-gram once, in a random order that depends on the seed; `tell` is called with the number done so far."""
        exact = objective.viewed("exact")
        shuffled = ngrams[np.random.default_rng(seed).permutation(len(ngrams))]
        top = TopK.empty(len(exact.targets), KEPT, shuffled.shape[1])
        sizes, best, sampled, done = [], [], [], 0
        for chunk, scores in ngram_scores(exact, shuffled, _chunks(len(shuffled))):
            values = scores.nan_to_num(nan=-torch.inf)
            top = top.merge(TopK.of(chunk[None], values, KEPT))
            if done < SAMPLE:
                sampled.append(values)
            done += len(chunk)
            sizes.append(done)
            best.append(top.value[:, 0])
            tell(done)
        sample = torch.cat(sampled, dim=1)
        shown = [
            [(0.0, ids, value) for ids, value in _distinct(top.ids[row].tolist(), top.value[row].tolist())]
            + _quantiles(sample[row], shuffled)
            for row in range(len(exact.targets))
        ]
        edges, counts = zip(*(_histogram(row, float(high)) for row, high in zip(sample.numpy(), top.value[:, 0], strict=True)), strict=True)
        return cls(shown, np.stack(edges), np.stack(counts), sizes, torch.stack(best, dim=1).numpy())


def _chunks(total: int) -> list[int]:
    """Sizes of the chunks: each as large as all before it together, up to the largest."""
    sizes: list[int] = []
    while (done := sum(sizes)) < total:
        sizes.append(min(max(done, SMALLEST), LARGEST, total - done))
    return sizes


def _distinct(texts: list[list[int]], activations: list[float]) -> list[tuple[list[int], float]]:
    """The best texts, without those that differ from a better one in less than two words."""
    kept: list[tuple[list[int], float]] = []
    for ids, activation in zip(texts, activations, strict=True):
        least = min(DIFFERENT, len(ids))
        if activation > -np.inf and all(len(set(ids) - set(other)) >= least for other, _ in kept):
            kept.append((ids, activation))
    return kept[:SHOWN]


def _quantiles(values: Float[Tensor, " c"], texts: Int[np.ndarray, "n t"]) -> list[Row]:
    order = values.argsort(descending=True, stable=True)
    places = [(share, int(order[int(share * len(order))])) for share in SHARES]
    return [(share, texts[place].tolist(), float(values[place])) for share, place in places if values[place] > -np.inf]


def _histogram(values: Float[np.ndarray, " c"], highest: float) -> tuple[np.ndarray, np.ndarray]:
    """Bins from the lowest sampled activation to the highest of the whole corpus."""
    finite = values[np.isfinite(values)]
    low = float(finite.min()) if len(finite) else 0.0
    high = highest if np.isfinite(highest) and highest > low else low + 1.0
    counts, edges = np.histogram(finite, bins=BINS, range=(low, high))
    return edges.astype(np.float32), counts
