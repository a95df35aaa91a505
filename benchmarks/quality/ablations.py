"""What each part of gumbel softmax, coordinate ascent and GCG is worth at equal budgets; and gumbel softmax over a shortlist of words."""

import dataclasses
import functools
import itertools
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from benchmarks.quality.search import plain
from benchmarks.setup import Result, Searches, Settings, Unit, objective_of, open_imaginet
from torch import Tensor

from optigram.methods import method_named
from optigram.methods.ascent import Ascent
from optigram.methods.coordinate import Coordinate
from optigram.methods.gcg import Gcg
from optigram.methods.gumbel import Gumbel
from optigram.methods.paper import COLDEST, EVERY, modern
from optigram.models.imaginet import Imaginet
from optigram.objective.objective import Objective
from optigram.objective.rng import Streams
from optigram.optimize.method import Method
from optigram.optimize.search import Budget, search
from optigram.study import statistics

FIRST = "gbl: temperature from 3, noise, 1 sample, rate 0.5"
DISTURBED = 0.5  # noise of a copied word, in standard deviations of the matrix
DENSE, TURN = "gbl", 16  # neurons that run before the methods change places


@dataclasses.dataclass(frozen=True)
class _Noiseless(Gumbel):
    """Softmax at gumbel's falling temperature, without noise in the climb; texts are drawn as before."""

    def noisy(self, theta: Tensor, streams: Streams, change: Callable[[Tensor], object] = lambda noisy: None) -> Tensor:
        """The logits alone [k c samples t v], after `change`."""
        logits = theta[:, :, None].repeat(1, 1, self.samples, 1, 1)
        change(logits)
        return logits


def _changed(budget: float, rate: float | None = None, kind: type[Gumbel] = Gumbel, **settings: float) -> Ascent:
    """The modern gumbel with other settings, in as many restarts and steps as cost the same."""
    usual = modern("gbl", budget)
    assert isinstance(usual.relaxation, Gumbel)
    settings = {"hottest": usual.relaxation.hottest, "draws": usual.relaxation.draws, "samples": 1} | settings
    samples, looked = int(settings["samples"]), 1 + int(settings["draws"])
    restarts = max(1, round(usual.restarts / samples))
    steps = max(1, int((budget / restarts - 2 * looked) / (3 * samples + looked / EVERY)))
    relaxation = kind(cooling=(COLDEST / settings["hottest"]) ** (1 / steps), coldest=COLDEST, **settings)  # pyright: ignore[reportArgumentType]
    return dataclasses.replace(usual, relaxation=relaxation, steps=steps, restarts=restarts, rate=rate or usual.rate)


def variants(budget: float) -> dict[str, Method]:
    """Every variant by name; those of gumbel differ from the first in one setting."""
    coordinate = method_named("coordinate", budget)
    assert isinstance(coordinate, Coordinate)
    return {
        FIRST: _changed(budget),
        "no noise (softmax, the same temperatures)": _changed(budget, kind=_Noiseless),
        "no noise, no drawn texts": _changed(budget, kind=_Noiseless, draws=0),
        "noise, no drawn texts": _changed(budget, draws=0),
        "gbl+coordinate": method_named("gbl+coordinate", budget),
        "coordinate": coordinate,
        "temperature from 1": _changed(budget, hottest=1.0),
        "temperature from 2": _changed(budget, hottest=2.0),
        "temperature from 5": _changed(budget, hottest=5.0),
        "straight-through": _changed(budget, straight=True),
        "rate 0.2": _changed(budget, rate=0.2),
        "rate 1": _changed(budget, rate=1.0),
        "4 samples, 1 restart": _changed(budget, samples=4),
        "8 samples, 1 restart, half the steps": _changed(budget, samples=8),
        "coordinate, 16 candidates, 4 chains": Coordinate(candidates=16),
        "coordinate, 64 candidates, 4 chains": Coordinate(candidates=64),
        "coordinate, 256 candidates, 1 chain": Coordinate(chains=1, candidates=256),
        "coordinate, no blend": dataclasses.replace(coordinate, blend=0),
        "coordinate, gradients at 4 neighbours instead (ARCA)": dataclasses.replace(coordinate, blend=0, neighbours=4),
        "coordinate, never further down the list": dataclasses.replace(coordinate, deepened=0),
        "gcg, 44 candidates, momentum 0.5": Gcg(),
        "gcg, no momentum": Gcg(momentum=0.0),
        "gcg, momentum 0.9": Gcg(momentum=0.9),
        "gcg, 16 candidates": Gcg(candidates=16),
        "gcg, 512 candidates of 256, no momentum (as published)": Gcg(candidates=512, among=256, momentum=0.0),
    }


def units(settings: Settings) -> Iterator[Unit]:
    """A unit per budget, variant and site; `by` picks variants whose name has one of its parts."""
    for budget, name, site in itertools.product(settings.budgets, variants(settings.budgets[0]), settings.sites):
        if not settings.by or name == FIRST or any(part in name for part in settings.by):
            yield {"variant": name, "site": site, "budget": float(budget)}


@dataclasses.dataclass(frozen=True)
class Ablation:
    """The searches, and what the first variant found at each site and budget."""

    searches: Searches

    def __hash__(self) -> int:
        return id(self)

    @functools.cache  # noqa: B019, an instance lives as long as its run
    def found(self, name: str, site: str, budget: float, seed: int) -> tuple[np.ndarray, float]:
        """The best activation of each neuron by a variant, and its median cost."""
        return _found(self.searches.objective(site), variants(budget)[name], budget, seed)


def _found(objective: Objective, method: Method, budget: float | None, seed: int) -> tuple[np.ndarray, float]:
    found = [one for one in search(objective, method, Budget(forwards=budget), seed).found if one is not None]
    return np.array([float(one.activation[0]) for one in found]), float(np.median([one.forwards + one.backwards for one in found]))


def setup(settings: Settings) -> Ablation:
    """The model and the corpus."""
    return Ablation(Searches.of(settings))


def ablation(context: Ablation, unit: Unit, seed: int) -> list[Result]:
    """One variant against corpus search and the first variant, neuron by neuron."""
    where = unit["site"], unit["budget"], seed
    (found, spent), (first, _) = context.found(unit["variant"], *where), context.found(FIRST, *where)
    corpus = np.array([*context.searches.corpus_best(unit["site"]).values()])
    above = float((found > first).mean())
    metrics = {
        "ratio": plain(statistics.Interval.median((found / corpus)[corpus > 0])),
        "to_first": float(np.median(found / first)),
        "above": above,
    }
    return [Result(metrics | {"spent": spent})]


def widened(model: Imaginet, words: int) -> Imaginet:
    """The same network with so many words: disturbed copies of its own are added to the embedding and the language path."""
    rng = np.random.default_rng(0)
    copied = torch.from_numpy(rng.integers(len(model.vocabulary.special), len(model.vocabulary), size=words - len(model.words)))
    names = (*model.words, *(f"word{i}" for i in range(len(copied))))
    larger, state = Imaginet(names, model.labels, model.sizes, f"{model.name} of {words:,} words"), dict(model.state_dict())
    for name in ("word_embedding.weight", "projections.language.weight", "projections.language.bias", "first_words"):
        rows = state[name][copied]
        noise = torch.from_numpy(rng.standard_normal(tuple(rows.shape), dtype=np.float32))
        state[name] = torch.cat([state[name], rows + DISTURBED * state[name].std() * noise])
    larger.load_state_dict(state)
    return larger.eval().requires_grad_(False)


def shortlist_setup(settings: Settings) -> tuple[Imaginet, Settings]:
    """The model, its vocabulary filled up to the option `words`."""
    model = open_imaginet(settings.model)
    words = settings.option("words", 0)
    return (widened(model, words) if words else model), settings


def shortlists(settings: Settings, budget: float) -> Mapping[str, Ascent]:
    """The dense method first, then the shortlists of the option `tried`; with `longer`, at so many times the budget."""
    sizes = map(int, settings.option("tried", "64").split(","))
    sparse = method_named("sgbl", budget * settings.option("longer", 1.0))
    assert isinstance(sparse, Ascent)
    return {DENSE: modern(DENSE, budget)} | {f"sgbl, {size} words": dataclasses.replace(sparse, shortlist=size) for size in sizes}


def shortlist(context: tuple[Imaginet, Settings], unit: Unit, seed: int) -> list[Result]:
    """Dense against sparse gumbel, by turns on a few neurons at a time; seconds are of the processor."""
    model, settings = context
    objective = objective_of(model, unit["site"], settings.targets, settings.length)
    runs: dict[str, list[tuple[np.ndarray, float, float]]] = {}
    for start in range(0, len(objective.targets), TURN):
        part = objective.subset(range(start, min(start + TURN, len(objective.targets))))
        for name, method in shortlists(settings, unit["budget"]).items():
            begun = time.process_time()
            found, spent = _found(part, method, None, seed)
            runs.setdefault(name, []).append((found, time.process_time() - begun, spent))
    values = {name: np.concatenate([found for found, _, _ in turns]) for name, turns in runs.items()}
    seconds = {name: sum(taken for _, taken, _ in turns) for name, turns in runs.items()}
    return [Result(_against_dense(name, values, seconds) | {"spent": runs[name][0][2]}, settings={"method": name}) for name in runs]


def _against_dense(name: str, values: Mapping[str, np.ndarray], seconds: Mapping[str, float]) -> dict[str, Any]:
    ratios = values[name] / values[DENSE]
    mean, time_ratio = float(ratios.mean()), seconds[name] / seconds[DENSE]
    return {
        "to_gbl": plain(statistics.Interval.median(ratios)),
        "mean_to_gbl": mean,
        "time": time_ratio,
        "seconds": seconds[name] / len(ratios),
    }
