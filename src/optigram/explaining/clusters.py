"""Texts by what the model makes of them, clustered; the number of clusters is the largest that random halves reproduce."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from optigram.explaining.exact import Exact, Ids
from optigram.shapes import Float, Int
from optigram.targets.address import Pool
from optigram.targets.custom import Custom
from optigram.targets.readouts import Unit
from optigram.text.template import counted_places

MOST = 5  # clusters
UNLIKE = 2.0  # standard deviations by which two clusters may be more alike than unrelated texts
LARGEST, TENTH, TENTH_NORMAL = 6.0, 10, 1.2816  # most of a likeness; a percentile, and how far below the median of a normal it is
STABLE, HALVES = 0.8, 20  # agreement of halves that is asked for; pairs of random halves
FAINT = 0.2  # norm below which a standardised state is not scaled up, per square root of its width
LONGEST = 3  # words of an unrelated text
SMALLEST, STRAYS = 0.02, 12  # share of all texts that a cluster has at least; groups of fewer texts that are set aside at most


def _likeness(parts: Sequence[Float[np.ndarray, "n _"]], usual: Sequence[Float[np.ndarray, "m _"]]) -> Float[np.ndarray, "n n"]:
    """How much more alike texts are than unrelated texts `usual`, in standard deviations of the cosine of those, averaged over all parts.

    States are standardised by those of unrelated texts. The spread of their cosines is taken below the median, since above it are
    pairs that happen to be related.
    """
    total = np.zeros((len(parts[0]), len(parts[0])))
    for part, other in zip(parts, usual, strict=True):
        between = _cosines(other, other)[np.triu_indices(len(other), 1)]
        low, middle = np.percentile(between, (TENTH, 50))
        spread = max((middle - low) / TENTH_NORMAL, 1e-3)
        total += np.clip((_cosines(part, other) - middle) / spread, -LARGEST, LARGEST)
    return total / len(parts)


def _cosines(states: Float[np.ndarray, "n h"], usual: Float[np.ndarray, "m h"]) -> Float[np.ndarray, "n n"]:
    """Cosines of states less the median, in standard deviations of usual ones; a state near the median has small ones."""
    spread = usual.std(0)
    scaled = (states - np.median(usual, axis=0)) / np.where(spread > 1e-6 * max(spread.max(), 1e-12), spread, np.inf)
    least = FAINT * math.sqrt(max(int((spread > 0).sum()), 1))
    scaled /= np.maximum(np.linalg.norm(scaled, axis=1, keepdims=True), least)
    return scaled @ scaled.T


@dataclass(frozen=True)
class Kinds:
    """Tells which texts the model makes the same of. `standard` are the representations of unrelated texts."""

    exact: Exact
    standard: Sequence[Float[np.ndarray, "m _"]]

    @classmethod
    def of(cls, exact: Exact, usual: Sequence[Ids], seed: int) -> "Kinds":
        """Unrelated are random parts of one to three words of usual texts; empty texts have none."""
        rng, parts = np.random.default_rng(seed), []
        for text in filter(len, usual):
            length = int(rng.integers(1, min(LONGEST, len(text)) + 1))
            start = int(rng.integers(len(text) - length + 1))
            parts.append(text[start : start + length])
        return cls(exact, _represented(exact, parts))

    def likeness(self, texts: Sequence[Ids]) -> Float[np.ndarray, "n n"]:
        """How much more alike texts are than unrelated ones, in standard deviations."""
        return _likeness(_represented(self.exact, texts), self.standard)

    def nearest(self, texts: Sequence[Ids], groups: Sequence[Sequence[Ids]]) -> Int[np.ndarray, " n"]:
        """The group that each text is most like."""
        like = self.likeness([*texts, *(one for group in groups for one in group)])[: len(texts), len(texts) :]
        parts = np.split(like, np.cumsum([len(group) for group in groups])[:-1], axis=1)
        return np.stack([part.mean(1) for part in parts]).argmax(0)


def _represented(exact: Exact, texts: Sequence[Ids]) -> list[Float[np.ndarray, "n _"]]:
    """The states of texts at each site that the target reads, and the means of their embeddings.

    A state is that of the last word, or of the position that the target reads, or else the mean over positions. The unit itself
    is left out, so that texts are told apart by everything but their activation.
    """
    model, (target,) = exact.objective.model, exact.objective.targets
    own = [(term.site, term.readout.index) for term in target.terms if isinstance(term.readout, Unit)]
    asked = [site for term in target.terms for site in (term.readout.sites if isinstance(term.readout, Custom) else (term.site,))]
    sites = [site if (linear := model.sites[site].linear) is None else linear.source for site in dict.fromkeys(asked)]
    found = {site: np.zeros((len(texts), model.sites[site].width), np.float32) for site in sites}
    for length in {len(text) for text in texts}:
        rows = [row for row, text in enumerate(texts) if len(text) == length]
        ids = torch.tensor([exact.objective.template.fill(texts[row]) for row in rows], device=model.embedding.device)
        counted = counted_places(exact.objective.template, length, model.vocabulary)
        with torch.no_grad():
            states = model.read(model.embedding[ids], sites)
        for site in found:
            found[site][rows] = _at_pool(states[site].float().cpu(), target.pool, counted).numpy()
    for site, unit in own:
        if site in found:
            found[site][:, unit] = 0
    return [*found.values(), exact.embedded(texts)]


def _at_pool(states: Tensor, pool: Pool, counted: Sequence[bool]) -> Tensor:
    """States [n h] of texts with states [n s h]."""
    if isinstance(pool, int):
        return states[:, min(pool, states.shape[1] - 1)]
    return states[:, counted].mean(1) if pool != "last" and any(counted) else states[:, -1]


def clustered(like: Float[np.ndarray, "n n"], seed: int) -> tuple[Int[np.ndarray, " n"], float]:
    """The cluster of each text, from 0, and the agreement of random halves on them (1 for a single cluster).

    A number of clusters is possible if each has some texts, and no two are more alike than unrelated texts are. Of those that random
    halves reproduce the largest is taken.
    """
    one = np.zeros(len(like), np.int64)
    if len(like) < 4:
        return one, 1.0
    tree = _tree(like)
    for count in range(min(MOST, len(like) // 2), 1, -1):
        cluster = _cut(tree, like, count)
        if cluster.max() + 1 < count or _nearest(like, cluster) > UNLIKE:
            continue
        agreement = _agreement(like, count, seed)
        if agreement >= STABLE:
            return cluster, agreement
    return one, 1.0


def _tree(like: np.ndarray) -> np.ndarray:
    from scipy.cluster.hierarchy import linkage  # scipy's clustering takes a second to import, for which no search should wait
    from scipy.spatial.distance import squareform

    distance = np.maximum(LARGEST - like, 0)
    np.fill_diagonal(distance, 0)
    return linkage(squareform(distance, checks=False), "average")


def _cut(tree: np.ndarray, like: np.ndarray, count: int) -> Int[np.ndarray, " n"]:
    """`count` clusters of some texts each, or fewer: what is more unlike than they are to each other, but too little for a cluster of its
    own, joins the cluster that it is most like.
    """
    from scipy.cluster.hierarchy import fcluster

    least, kept = max(2, SMALLEST * len(like)), np.zeros(len(like), np.int64)
    for parts in range(count, min(count + STRAYS, len(like)) + 1):
        cluster = fcluster(tree, parts, "maxclust").astype(np.int64) - 1
        large = np.flatnonzero(np.bincount(cluster) >= least)
        if len(large) >= 1:
            means = np.stack([like[:, cluster == number].mean(1) for number in large])
            kept = np.where(np.isin(cluster, large), np.searchsorted(large, cluster), means.argmax(0))
        if len(large) >= count:
            break
    return kept


def _nearest(like: np.ndarray, cluster: np.ndarray) -> float:
    """The mean likeness of the two clusters that are most alike."""
    numbers = range(int(cluster.max()) + 1)
    return max(float(like[np.ix_(cluster == a, cluster == b)].mean()) for a in numbers for b in numbers if a < b)


def _agreement(like: np.ndarray, count: int, seed: int) -> float:
    """How well two random halves agree on all texts: the mean adjusted Rand index of the clusters that each gives to all of them."""
    rng, found = np.random.default_rng(seed), []
    for _ in range(HALVES):
        order = rng.permutation(len(like))
        both = [_extended(like, half, count) for half in (order[: len(like) // 2], order[len(like) // 2 :])]
        found.append(_rand(*both))
    return float(np.mean(found))


def _extended(like: np.ndarray, half: np.ndarray, count: int) -> np.ndarray:
    """Clusters of half of the texts, and the nearest of them for each text."""
    if len(half) < count:
        return np.zeros(len(like), np.int64)
    within = like[np.ix_(half, half)]
    cluster = _cut(_tree(within), within, count)
    means = np.stack([like[:, half[cluster == number]].mean(1) for number in range(int(cluster.max()) + 1)])
    return means.argmax(0)


def _rand(one: np.ndarray, other: np.ndarray) -> float:
    """The adjusted Rand index of two partitions."""
    table = np.zeros((one.max() + 1, other.max() + 1))
    np.add.at(table, (one, other), 1)

    def pairs(counts: np.ndarray) -> float:
        return float((counts * (counts - 1) / 2).sum())

    rows, columns, total = pairs(table.sum(1)), pairs(table.sum(0)), len(one) * (len(one) - 1) / 2
    expected = rows * columns / total
    largest = (rows + columns) / 2
    return 1.0 if largest == expected else (pairs(table) - expected) / (largest - expected)
