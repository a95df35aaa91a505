"""Groups of units that fire together, as in the authors' code (`--target_layer hidden`; the paper shows single neurons only).

Units are clustered by the correlation of their activations over random corpus n-grams, with complete linkage: any two units of a
group correlate at least as much as the height at which it was merged. A group is maximised as the mean of its units, so
anticorrelated units are far apart.
"""

from collections.abc import Sequence

import numpy as np
import torch
from scipy.cluster import hierarchy
from scipy.spatial.distance import squareform

from optigram.errors import InputError
from optigram.models.base import Model
from optigram.objective.objective import Objective
from optigram.shapes import Float, Int
from optigram.targets.target import resolve

COUNT = 80  # authors' code: about 80 groups
NGRAMS = 100_000  # authors' code: random n-grams to correlate over
BLOCK = 1 << 13  # n-grams converted to float64 at once


def groups_of(model: Model, site: str, ngrams: Int[np.ndarray, "c t"], count: int = COUNT) -> list[tuple[int, ...]]:
    """At most `count` groups of the units of `site`, by their correlation over up to 100,000 of the n-grams."""
    return _groups(_activations_of(model, site, _drawn(ngrams)), count)


def _activations_of(model: Model, site: str, ngrams: Int[np.ndarray, "n t"]) -> Float[np.ndarray, "n h"]:
    """Activations of all units of a site after the last word of each n-gram, from the objective."""
    objective = Objective(model, resolve([f"{site}:*"], model), ngrams.shape[1])
    return objective.score(torch.from_numpy(ngrams)[None]).activation.T.cpu().numpy()


def _drawn(ngrams: Int[np.ndarray, "c t"], count: int = NGRAMS, seed: int = 0) -> Int[np.ndarray, "n t"]:
    """Up to `count` of the n-grams, drawn without replacement, in their order."""
    return ngrams[np.sort(np.random.default_rng(seed).permutation(len(ngrams))[:count])]


def _groups(activations: Float[np.ndarray, "n h"], count: int = COUNT) -> list[tuple[int, ...]]:
    """Partition all units into at most `count` groups: indices ascending, groups by their first unit.

    The distance is 1 - correlation; a constant unit counts as uncorrelated. Equal distances may leave fewer groups. Raises
    InputError for fewer than two n-grams or a count below 1.
    """
    if count < 1:
        raise InputError(f"expected at least 1 group, got {count}; give a positive number")
    if len(activations) < 2:
        raise InputError(f"expected activations over at least 2 n-grams, got {len(activations)}; give a larger corpus")
    units = activations.shape[1]
    labels = np.zeros(units, dtype=int) if units < 2 else _labels(activations, count)
    found: dict[int, list[int]] = {}
    for unit, label in enumerate(labels.tolist()):
        found.setdefault(label, []).append(unit)
    return [tuple(members) for members in found.values()]


def _correlations(activations: Float[np.ndarray, "n h"]) -> Float[np.ndarray, "h h"]:
    """Pearson correlations of columns in float64, 0 with a constant column; in blocks, since n is large."""
    blocks = range(0, len(activations), BLOCK)
    mean = activations.mean(axis=0, dtype=np.float64)
    products = np.zeros((len(mean), len(mean)))
    for start in blocks:
        centred = activations[start : start + BLOCK] - mean
        products += centred.T @ centred
    spread = np.sqrt(np.diag(products))
    scale = np.divide(1.0, spread, out=np.zeros_like(spread), where=np.ptp(activations, axis=0) > 0)
    return np.clip(products * scale * scale[:, None], -1, 1)


def _cohesion(activations: Float[np.ndarray, "n h"], found: Sequence[tuple[int, ...]]) -> list[float]:
    """The lowest correlation within each group; 1 for a group of one."""
    matrix = _correlations(activations)
    return [float(matrix[np.ix_(group, group)].min()) if len(group) > 1 else 1.0 for group in found]


def _labels(activations: Float[np.ndarray, "n h"], count: int) -> Int[np.ndarray, " h"]:
    distances = 1 - _correlations(activations)
    np.fill_diagonal(distances, 0)
    tree = hierarchy.complete(squareform(distances, checks=False))
    return hierarchy.fcluster(tree, count, criterion="maxclust")
