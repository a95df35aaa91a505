"""Explain: which words of a text matter, and whether their order does, by the judge's score of each change."""

import itertools
import math
from collections.abc import Sequence

import torch

from optigram.errors import InputError
from optigram.objective.objective import Objective
from optigram.objective.rng import Streams
from optigram.runs.ablation import with_others, without_each
from optigram.runs.explanation import Explanation, Place, Substitution

ORDERS = 120  # orders of the words that are judged: all of up to 5 words, as many drawn ones of more
SWEPT = 512  # words judged at a position, those that the gradient likes best, where not the whole lexicon is


def explain(objective: Objective, ids: Sequence[int], top: int = 5, sweep: int | None = SWEPT, seed: int = 0) -> list[Explanation]:
    """One explanation a target of a text [t] that the objective's template surrounds.

    `sweep` words are judged in each place, those that the gradient likes best; None: the whole lexicon. `top` of them are told.
    """
    if len(ids) != objective.length:
        raise InputError(f"expected a text of {objective.length} words, got {len(ids)}")
    texts = torch.tensor(list(ids)).expand(len(objective.targets), -1)
    own = objective.viewed("exact").score(texts[:1, None]).activation[:, 0].tolist()
    if bad := next((target for target, value in zip(objective.targets, own, strict=True) if not math.isfinite(value)), None):
        raise InputError(f"{bad} is not finite on this text; check the model's weights and dtype, and the weights of the target")
    others, tried = with_others(objective, texts, top, len(objective.lexicon) if sweep is None else sweep)
    without, orders = without_each(objective, texts[:, None])[:, 0].tolist(), _orders(objective, ids, seed)
    tokens = objective.model.vocabulary.tokens
    return [
        Explanation(
            str(target),
            objective.model.vocabulary.decode(ids),
            own[row],
            [
                Place(tokens[id_], None if math.isnan(left) else left, [Substitution(tokens[word], value) for word, value in best])
                for id_, left, best in zip(ids, without[row], others[row], strict=True)
            ],
            orders[row],
            tried == len(objective.lexicon),
        )
        for row, target in enumerate(objective.targets)
    ]


def _orders(objective: Objective, ids: Sequence[int], seed: int) -> list[list[float]]:
    """For each target the activations of the same words in other orders."""
    t = objective.length
    if math.factorial(t) <= ORDERS:
        orders = torch.tensor(list(itertools.permutations(range(t))))[1:]
    else:
        chance = Streams(seed, ["orders"], 1, torch.device("cpu")).uniform(ORDERS, t)
        orders = chance[0, 0].argsort(dim=-1)
    if len(orders) == 0:
        return [[] for _ in objective.targets]
    return objective.viewed("exact").score(torch.tensor(list(ids))[orders][None]).activation.tolist()
