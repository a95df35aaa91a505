"""Several texts of each target that differ: one search after the other, each away from what was found before."""

import dataclasses

import torch
from torch import Tensor

from optigram.objective.objective import Objective
from optigram.optimize.method import Method
from optigram.optimize.search import Budget, SearchResult, TargetResult, Watch, search
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
    """The best text of every target, the best of those with at most the share `most` of words in common with it, and so on, n in all.

    Every one of them may cost the whole budget.
    """
    outcome = search(objective, method, budget, seed, 1, watch, start)
    for _ in range(1, n):
        if outcome.interrupted or any(found is None for found in outcome.found):
            break
        sofar = [found for found in outcome.found if found is not None]
        widest = max(len(found.ids) for found in sofar)
        texts = torch.full((len(sofar), widest, objective.length), -1)
        for row, found in zip(texts, sofar, strict=True):
            row[: len(found.ids)] = found.ids
        further = search(objective.excluding(KnownTexts(texts, most)), method, budget, seed, 1, watch, start)
        joined = [one if other is None else _joined(one, other) for one, other in zip(sofar, further.found, strict=True)]
        outcome = SearchResult([*joined], further.interrupted)
    return outcome


def _joined(one: TargetResult, other: TargetResult) -> TargetResult:
    """Both, the better first: what was found under a bound may be better than what was found without, by luck."""
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
