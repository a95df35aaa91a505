"""The study of the paper (sections 4 and 5) at two scales, each setting with its source.

Each arm answers a question: what our settings find (`modern`), what the authors' settings find (`faithful`), whether the paper's
ranking holds when every method has gumbel's budget (`fair`), and how much of a gain is independent of a neuron's meaning (two
placebos).
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.cluster import hierarchy
from scipy.spatial.distance import squareform

from optigram.errors import InputError
from optigram.methods import chains
from optigram.methods import paper as presets
from optigram.models.base import Model
from optigram.objective.objective import Objective
from optigram.shapes import Float, Int
from optigram.study.spec import Arm, Study
from optigram.targets.target import resolve

PATHS = ("language", "visual")
MODERN, FAITHFUL, FAIR = "modern", "faithful", "fair"
FULL = WHOLE, GUMBEL = "full length", "gumbel at full length"
DIRECTIONS, WEIGHTS = "random directions", "random weights"
GROUPS, TABLE1 = "groups", "table 1"
SHOWN = {"language": ("umbrella", "windshield", "left"), "visual": ("pizza", "airplane")}  # paper, Table 1, or what is nearest
_COUNT = 80  # authors' code: about 80 groups
_NGRAMS = 100_000  # authors' code: random n-grams to correlate over
_BLOCK = 1 << 13  # n-grams converted to float64 at once
SEED, BELOW, COUNT = 123, 1024, 80


@dataclass(frozen=True)
class _Recipe:
    """`budget`: forward-equivalents per modern method, for each of `seeds` seeds. `shorter`: see `presets.faithful`.

    The other numbers are neurons per path (None: all; 0: no such arm): `modern`; `few`, with the authors' settings, shortened;
    `fair`; `whole`, with the authors' settings at full length; `gumbel`, the same for gbl; `placebos`; `groups` of hidden units.
    With `auto` the modern arm has our own search from the corpus's best texts too.
    """

    budget: float
    seeds: int
    shorter: int
    modern: int | None
    few: int | None
    fair: int | None
    placebos: int | None
    groups: int | None
    whole: int | None = 0
    gumbel: int | None = 0
    auto: bool = False


RECIPES: dict[str, _Recipe] = {
    # Half an hour on two cores. The authors' gumbel run mixes about 130 million words per neuron; this one has 200 times
    # fewer steps and an eighth of the samples.
    "small": _Recipe(budget=2000, seeds=3, shorter=200, modern=48, few=48, fair=0, placebos=48, groups=40),
    # A day or more on two cores: the neurons of the small scale and more, and the authors' settings at full length.
    "medium": _Recipe(2000, seeds=3, shorter=200, modern=None, few=80, fair=48, placebos=48, groups=40, whole=80, gumbel=4, auto=True),
    "paper": _Recipe(budget=20000, seeds=3, shorter=1, modern=None, few=None, fair=None, placebos=None, groups=None),
}


def study(scale: str, model: Model, corpus: str | None = None, seed: int = 0, ngrams: Int[np.ndarray, "c t"] | None = None) -> Study:
    """The paper's study of a model with its two paths; `load` must accept `model.name`.

    The modern arm has several seeds, from `seed` on; the others have one, as the authors' runs. With the `ngrams` of its corpus
    there is an arm for groups of hidden units too (authors' code, not in the paper's text).
    """
    recipe = RECIPES[scale]
    neurons = {path: _spread(_neurons_of(model, path)) for path in PATHS}
    seeds = tuple(range(seed, seed + recipe.seeds))
    placebos = {"methods": ("crp", "gbl"), "budget": recipe.budget}
    wanted: list[tuple[str, int | None, dict]] = [
        (
            MODERN,
            recipe.modern,
            {"methods": (*presets.LABELS, *[chains.WITH_CORPUS] * recipe.auto), "budget": recipe.budget, "seeds": seeds},
        ),
        (FAITHFUL, recipe.few, {"methods": _authors(presets.FAITHFUL, recipe.shorter)}),
        (FAIR, recipe.fair, {"methods": _authors(presets.FAIR, recipe.shorter), "budget": _equal_budget(recipe.shorter)}),
        (WHOLE, recipe.whole, {"methods": _authors(presets.FAITHFUL, 1)[:-1]}),
        (GUMBEL, recipe.gumbel, {"methods": (presets.CORPUS, f"gbl:{presets.FAITHFUL}")}),
        (DIRECTIONS, recipe.placebos, {**placebos, "placebo": "directions"}),
        (WEIGHTS, recipe.placebos, {**placebos, "placebo": "weights"}),
    ]
    arms = [Arm(name=name, targets=_addresses(neurons, most), **settings) for name, most, settings in wanted if most != 0]
    shown = _named(model)
    if shown:
        arms.append(Arm(name=TABLE1, targets=shown, methods=("crp", "gbl", chains.WITH_CORPUS), budget=presets.BUDGET, seeds=seeds))
    # paper: "5-grams"; authors' code: one run per neuron
    made = Study(name=f"poerner2018 {scale}", model=model.name, corpus=corpus, length=5, seeds=(seed,), arms=tuple(arms))
    return made if ngrams is None else _with_groups(made, scale, model, ngrams)


def _named(model: Model) -> tuple[str, ...]:
    """Addresses of the neurons of the paper's Table 1, as far as the model has them."""
    found = {path: [name for name in names if name in model.sites[path].names] for path, names in SHOWN.items()}
    return tuple(f"{path}:{','.join(names)}" for path, names in found.items() if names)


def _spread(indices: Sequence[int]) -> list[int]:
    """The same indices in an order of which every beginning is spread over all: by the digits of their place, last digit first."""
    digits = max(len(indices) - 1, 1).bit_length()
    return [indices[i] for i in sorted(range(len(indices)), key=lambda i: f"{i:0{digits}b}"[::-1])]


def _with_groups(study: Study, scale: str, model: Model, ngrams: Int[np.ndarray, "c t"]) -> Study:
    """The study with an arm for groups of hidden units that fire together on corpus n-grams (authors' code, not in the paper's text).

    The target of a group is the mean of its units. Groups of one unit are left out.
    """
    recipe, addresses = RECIPES[scale], []
    if recipe.groups == 0:
        return study
    for path in PATHS:
        site = f"{path}.hidden"
        found = [group for group in _groups_of(model, site, ngrams) if len(group) > 1]
        count = len(found) if recipe.groups is None else min(recipe.groups, len(found))
        addresses += [_mean_of(site, found[i * len(found) // count]) for i in range(count)]
    if not addresses:
        return study
    arm = Arm(name=GROUPS, targets=tuple(addresses), methods=("crp", "gbl"), budget=recipe.budget)
    return study.model_copy(update={"arms": (*study.arms, arm)})


def _mean_of(site: str, units: Sequence[int]) -> str:
    """The address of the mean of some units of a site."""
    return " + ".join(f"{1 / len(units):.6g}*{site}:{unit}" for unit in units)


def _neurons_of(model: Model, path: str) -> list[int]:
    """The authors' 160 indices without special tokens, as far as the layer has them."""
    site = model.sites[path]
    special = model.vocabulary.special if path == "language" else frozenset()
    return _sampled(site.width, special)


def _authors(variant: str, shorter: int) -> tuple[str, ...]:
    """Corpus search and the four gradient methods with the authors' settings."""
    times = f"/{shorter}" if shorter > 1 else ""
    return (presets.CORPUS, *(f"{label}:{variant}{times}" for label in presets.GRADIENT))


def _equal_budget(shorter: int) -> float:
    """Cost of one fair run of gumbel in forward-equivalents; every other method gets the same, restarts included."""
    return presets.fair("gbl", 1, shorter).forwards


def _addresses(neurons: dict[str, list[int]], most: int | None = None) -> tuple[str, ...]:
    """Addresses of all neurons, or of the first `most` per path."""
    return tuple(f"{path}:{','.join(map(str, indices[:most]))}" for path, indices in neurons.items())


def _groups_of(model: Model, site: str, ngrams: Int[np.ndarray, "c t"], count: int = _COUNT) -> list[tuple[int, ...]]:
    """At most `count` groups of the units of `site`, by their correlation over up to 100,000 of the n-grams.

    Linkage is complete: any two units of a group correlate at least as much as the height at which it was merged. A group is maximised
    as the mean of its units, so anticorrelated units are far apart. As in the authors' code (`--target_layer hidden`).
    """
    return _groups(_activations_of(model, site, _drawn_ngrams(ngrams)), count)


def _activations_of(model: Model, site: str, ngrams: Int[np.ndarray, "n t"]) -> Float[np.ndarray, "n h"]:
    """Activations of all units of a site after the last word of each n-gram, from the objective."""
    objective = Objective(model, resolve([f"{site}:*"], model), ngrams.shape[1])
    return objective.score(torch.from_numpy(ngrams)[None]).activation.T.cpu().numpy()


def _drawn_ngrams(ngrams: Int[np.ndarray, "c t"], count: int = _NGRAMS, seed: int = 0) -> Int[np.ndarray, "n t"]:
    """Up to `count` of the n-grams, drawn without replacement, in their order."""
    return ngrams[np.sort(np.random.default_rng(seed).permutation(len(ngrams))[:count])]


def _groups(activations: Float[np.ndarray, "n h"], count: int = _COUNT) -> list[tuple[int, ...]]:
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
    blocks = range(0, len(activations), _BLOCK)
    mean = activations.mean(axis=0, dtype=np.float64)
    products = np.zeros((len(mean), len(mean)))
    for start in blocks:
        centred = activations[start : start + _BLOCK] - mean
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


def _drawn(below: int = BELOW, count: int = COUNT, without: Collection[int] = ()) -> list[int]:
    """`count` different indices from 0 to `below` - 1, none of `without`, ascending."""
    if count > below - len({index for index in without if index < below}):
        raise ValueError(f"expected at least {count} indices to draw, got {below} less {len(without)}")
    rng = np.random.RandomState(SEED)
    found: set[int] = set()
    while len(found) < count:
        rng.randint(1, 2)
        index = int(rng.choice(range(below), 1, replace=False)[0])
        if index not in without:
            found.add(index)
    return sorted(found)


def _sampled(width: int, special: Collection[int] = ()) -> list[int]:
    """The authors' 160 indices without the `special` ones, for a layer of at least 1024 units; all units of a layer up to 160.

    For widths in between, their rule is applied to the units there are.
    """
    if width <= 2 * COUNT:
        return [index for index in range(width) if index not in special]
    below = min(width, BELOW)
    first = _drawn(below)
    return sorted(index for index in [*first, *_drawn(below, without=first)] if index not in special)
