"""What the corpus has to offer to some targets: its best n-grams in context, how activations lie, and what a larger corpus brings."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from optigram.objective.objective import Objective
from optigram.optimize.topk import TopK
from optigram.runs.plan import Sentences
from optigram.shapes import Float, Int

SMALLEST, LARGEST = 256, 1 << 16  # n-grams of the first chunk of the corpus, and of the largest
SAMPLE = 1 << 14  # n-grams in a random order that stand for the corpus in histogram and quantiles
SHELF, SHOWN = 48, 6  # best n-grams kept, and shown once near-copies are left out
APART = 2  # words in which a shown n-gram differs from all above it
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


def corpus_statistics(
    objective: Objective, ngrams: Int[np.ndarray, "c t"], seed: int = 0, tell: Callable[[int], None] = lambda done: None
) -> CorpusStatistics:
    """Judge every n-gram once, in a random order that the seed decides; `tell` is told how many are done."""
    judge = objective.viewed("exact")
    texts = torch.from_numpy(ngrams[np.random.default_rng(seed).permutation(len(ngrams))])
    shelf = TopK.empty(len(judge.targets), SHELF, texts.shape[1])
    sizes, best, sampled, done = [], [], [], 0
    for chunk in texts.split(_chunks(len(texts))):
        values = judge.score(chunk[None]).activation.cpu().nan_to_num(nan=-torch.inf)
        shelf = shelf.merge(TopK.of(chunk[None], values, SHELF))
        if done < SAMPLE:
            sampled.append(values)
        done += len(chunk)
        sizes.append(done)
        best.append(shelf.value[:, 0])
        tell(done)
    sample = torch.cat(sampled, dim=1)
    shown = [
        [(0.0, ids, value) for ids, value in _distinct(shelf.ids[row].tolist(), shelf.value[row].tolist())] + _quantiles(sample[row], texts)
        for row in range(len(judge.targets))
    ]
    edges, counts = zip(*(_histogram(row, float(top[0])) for row, top in zip(sample.numpy(), shelf.value, strict=True)), strict=True)
    return CorpusStatistics(shown, np.stack(edges), np.stack(counts), sizes, torch.stack(best, dim=1).numpy())


def in_context(wanted: Iterable[Sequence[int]], corpus: Sentences, objective: Objective) -> dict[tuple[int, ...], tuple[str, str]]:
    """What stands before and after each wanted n-gram in the first sentence that has it."""
    missing, found, length = {tuple(ids) for ids in wanted}, {}, objective.length
    vocabulary = objective.model.vocabulary
    for text in corpus.texts:
        if not missing:
            break
        ids = vocabulary.encode(text)
        for start in range(len(ids) - length + 1):
            window = tuple(ids[start : start + length])
            if window in missing:
                missing.remove(window)
                found[window] = (vocabulary.decode(ids[:start]), vocabulary.decode(ids[start + length :]))
    return found


def _chunks(total: int) -> list[int]:
    """Sizes of the chunks: each as large as all before it together, up to the largest."""
    sizes: list[int] = []
    while (done := sum(sizes)) < total:
        sizes.append(min(max(done, SMALLEST), LARGEST, total - done))
    return sizes


def _distinct(texts: list[list[int]], activations: list[float]) -> list[tuple[list[int], float]]:
    """The best texts, but for those that differ from a better one in less than two words."""
    kept: list[tuple[list[int], float]] = []
    for ids, activation in zip(texts, activations, strict=True):
        apart = min(APART, len(ids))
        if activation > -np.inf and all(len(set(ids) - set(other)) >= apart for other, _ in kept):
            kept.append((ids, activation))
    return kept[:SHOWN]


def _quantiles(values: Float[torch.Tensor, " c"], texts: Int[torch.Tensor, "n t"]) -> list[Row]:
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
