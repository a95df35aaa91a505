"""Several diverse texts per target: one search after the other, each away from the texts found before."""

import dataclasses

import torch
from torch import Tensor

from optigram.objective.objective import Objective
from optigram.optimize.method import Method
from optigram.optimize.result import SearchResult, TargetResult
from optigram.optimize.search import Budget, Watch, search
from optigram.shapes import Int
from optigram.text.overlap import KnownTexts


def search_diverse(
    objective: Objective,
    method: Method,
    budget: Budget | None,
    seed: int,
    n: int,
    most: float,
    watch: Watch = lambda done, best: None,
    start: Int[Tensor, "k n t"] | None = None,
) -> SearchResult:
    """n texts per target: the best, then the best that shares at most the fraction `most` of its words with those before, and so on.

    Each of the n searches may spend the whole budget.
    """
    result = search(objective, method, budget, seed, 1, watch, start)
    for _ in range(1, n):
        if result.interrupted or any(found is None for found in result.found):
            break
        sofar = [found for found in result.found if found is not None]
        widest = max(len(found.ids) for found in sofar)
        texts = torch.full((len(sofar), widest, objective.length), -1)
        for row, found in zip(texts, sofar, strict=True):
            row[: len(found.ids)] = found.ids
        further = search(objective.excluding(KnownTexts(texts, most)), method, budget, seed, 1, watch, start)
        joined = [one if other is None else _joined(one, other) for one, other in zip(sofar, further.found, strict=True)]
        result = SearchResult([*joined], further.interrupted)
    return result


def _joined(one: TargetResult, other: TargetResult) -> TargetResult:
    """Both results, the better text first: a search with more constraints may, by chance, find a better text."""
    activation = torch.cat([one.activation, other.activation])
    order = activation.argsort(descending=True, stable=True)
    surprisal = None if one.surprisal is None or other.surprisal is None else torch.cat([one.surprisal, other.surprisal])[order]
    return dataclasses.replace(
        one if int(order[0]) < len(one.ids) else other,
        ids=torch.cat([one.ids, other.ids])[order],
        activation=activation[order],
        surprisal=surprisal,
        trace=one.trace,
        remarks={name: torch.cat([values, other.remarks[name]])[order] for name, values in one.remarks.items() if name in other.remarks},
        forwards=one.forwards + other.forwards,
        backwards=one.backwards + other.backwards,
        seconds=one.seconds + other.seconds,
        broken=one.broken + other.broken,
    )
