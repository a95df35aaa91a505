"""The study of the paper (sections 4 and 5) at two scales, each setting with its source.

Each arm answers a question: what our settings find (`modern`), what the authors' settings find (`faithful`), whether the paper's
ranking holds when every method has gumbel's budget (`fair`), and how much of a gain is independent of a neuron's meaning (two
placebos).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from optigram.methods import paper as presets
from optigram.models.base import Model
from optigram.papers.poerner2018.groups import groups_of
from optigram.papers.poerner2018.neurons import sampled
from optigram.shapes import Int
from optigram.study.spec import Arm, Study

PATHS = ("language", "visual")
MODERN, FAITHFUL, FAIR = "modern", "faithful", "fair"
DIRECTIONS, WEIGHTS = "random directions", "random weights"
GROUPS = "groups"


@dataclass(frozen=True)
class _Recipe:
    """`budget`: forward-equivalents per modern method. `shorter`: see `presets.faithful`. `few`, `placebos`: neurons per path."""

    budget: float
    shorter: int
    few: int | None  # with the authors' settings; None: all
    placebos: int | None
    groups: int | None  # groups of hidden units per path


RECIPES: dict[str, _Recipe] = {
    # Half an hour on two cores. The authors' gumbel run mixes about 130 million words per neuron; this one has 200 times
    # fewer steps, an eighth of the samples, and 16 neurons per path.
    "small": _Recipe(budget=2500, shorter=200, few=16, placebos=16, groups=8),
    "paper": _Recipe(budget=20000, shorter=1, few=None, placebos=None, groups=None),
}


def study(scale: str, model: Model, corpus: str | None = None, seed: int = 0) -> Study:
    """The paper's study of a model with its two paths; `load` must accept `model.name`."""
    recipe = RECIPES[scale]
    neurons = {path: _neurons_of(model, path) for path in PATHS}
    some = _addresses(neurons, recipe.few)
    arms = [
        Arm(name=MODERN, targets=_addresses(neurons), methods=presets.LABELS, budget=recipe.budget),
        Arm(name=FAITHFUL, targets=some, methods=_authors(presets.FAITHFUL, recipe.shorter)),
        Arm(name=FAIR, targets=some, methods=_authors(presets.FAIR, recipe.shorter), budget=_equal_budget(recipe.shorter)),
    ]
    settings = {"targets": _addresses(neurons, recipe.placebos), "methods": ("crp", "gbl"), "budget": recipe.budget}
    arms.append(Arm(name=DIRECTIONS, placebo="directions", **settings))
    arms.append(Arm(name=WEIGHTS, placebo="weights", **settings))
    # paper: "5-grams"; authors' code: one run per neuron
    return Study(name=f"poerner2018 {scale}", model=model.name, corpus=corpus, length=5, seeds=(seed,), arms=tuple(arms))


def with_groups(study: Study, scale: str, model: Model, ngrams: Int[np.ndarray, "c t"]) -> Study:
    """The study with an arm for groups of hidden units that fire together on corpus n-grams (authors' code, not in the paper's text).

    The target of a group is the mean of its units. Groups of one unit are left out.
    """
    recipe, addresses = RECIPES[scale], []
    for path in PATHS:
        site = f"{path}.hidden"
        found = [group for group in groups_of(model, site, ngrams) if len(group) > 1]
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
    return sampled(site.width, special)


def _authors(variant: str, shorter: int) -> tuple[str, ...]:
    """Corpus search and the four gradient methods with the authors' settings."""
    times = f"/{shorter}" if shorter > 1 else ""
    return (presets.CORPUS, *(f"{label}:{variant}{times}" for label in presets.GRADIENT))


def _equal_budget(shorter: int) -> float:
    """Cost of one fair run of gumbel in forward-equivalents; every other method gets the same, restarts included."""
    return presets.fair("gbl", 1, shorter).forwards


def _addresses(neurons: dict[str, list[int]], most: int | None = None) -> tuple[str, ...]:
    """Addresses of all neurons, or of `most` per path, evenly spaced."""
    parts = []
    for path, indices in neurons.items():
        count = len(indices) if most is None else min(most, len(indices))
        chosen = [indices[i * len(indices) // count] for i in range(count)]
        parts.append(f"{path}:{','.join(map(str, chosen))}")
    return tuple(parts)
