"""What each part of the searches of a transformer's neurons is worth, at equal budgets: neurons that are off, RelP, merged swaps.

`plain` ranks words by the gradient alone, and by the neuron's own activation also where it is off.
"""

import dataclasses
from collections.abc import Mapping

import numpy as np
from benchmarks.quality.search import plain
from benchmarks.setup import Result, Settings, Unit, objective_of, open_model

from optigram.methods import method_named
from optigram.methods.coordinate import Coordinate
from optigram.methods.gcg import Gcg
from optigram.models.base import Model
from optigram.objective.objective import Objective
from optigram.optimize.method import Method
from optigram.optimize.search import Budget, search
from optigram.study import statistics


def setup(settings: Settings) -> tuple[Model, Settings]:
    """The model."""
    return open_model(settings.model), settings


def arms(objective: Objective, budget: float) -> Mapping[str, tuple[Objective, Method]]:
    """What is searched, and by which method; the first two are what the others are compared with."""
    usual, merged = method_named("coordinate", budget, attends=True), method_named("mcgcg", budget)
    assert isinstance(usual, Coordinate)
    assert isinstance(merged, Gcg)
    without = dataclasses.replace(usual, relp=False)
    return {
        "coordinate (plain)": (objective.viewed("exact"), without),
        "gcg": (objective, Gcg()),
        "coordinate (no RelP)": (objective, without),
        "coordinate": (objective, usual),
        "mcgcg": (objective, merged),
        "mcgcg (RelP)": (objective, dataclasses.replace(merged, relp=True)),
    }


def compare(context: tuple[Model, Settings], unit: Unit, seed: int) -> list[Result]:
    """All arms on the same neurons from the same first texts."""
    model, settings = context
    objective = objective_of(model, unit["site"], settings.targets, settings.length)
    found: dict[str, np.ndarray] = {}
    for name, (searched, method) in arms(objective, unit["budget"]).items():
        if not settings.by or name in settings.by:
            results = search(searched, method, Budget(forwards=unit["budget"]), seed).found
            found[name] = np.array([float(one.activation[0]) if one is not None and len(one.activation) else 0.0 for one in results])
    first = next(iter(found.values()))
    return [Result(_against(values, first), settings={"method": name}) for name, values in found.items()]


def _against(values: np.ndarray, first: np.ndarray) -> dict[str, object]:
    on = first > 0
    return {
        "mean": float(values.mean()),
        "ratio": plain(statistics.Interval.median(values[on] / first[on])),
        "above": int((values > first + 1e-4).sum()),
        "below": int((values < first - 1e-4).sum()),
    }
