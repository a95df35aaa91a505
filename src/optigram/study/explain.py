"""Explain: which words of a text matter, and whether their order does, by the judge's score of each change."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from optigram.errors import InputError
from optigram.noise import Streams
from optigram.objective import Objective

ORDERS = 120  # orders of the words that are judged: all of up to 5 words, as many drawn ones of more
SWEPT = 512  # words judged at a position, those that the gradient likes best, where not the whole lexicon is


@dataclass(frozen=True)
class Substitution:
    """A word in the place of another, and the activation that the text then has."""

    word: str
    activation: float


@dataclass(frozen=True)
class Place:
    """A free position: its word, the activation of the text without it (None: it cannot be left out), and its best substitutions."""

    word: str
    without: float | None
    substitutions: Sequence[Substitution]


@dataclass(frozen=True)
class Explanation:
    """What a text's `activation` for a target hangs on.

    `optimal`: no judged word in any place is an improvement. `orders`: activations of the same words in other orders, of which
    `better` are above the text's own.
    """

    target: str
    text: str
    activation: float
    places: Sequence[Place]
    orders: Sequence[float]
    whole_lexicon: bool

    @property
    def optimal(self) -> bool:
        """Whether no judged substitution is an improvement."""
        return all(one.activation <= self.activation for place in self.places for one in place.substitutions[:1])

    @property
    def better(self) -> int:
        """How many other orders are better."""
        return sum(activation > self.activation for activation in self.orders)


def explain(objective: Objective, ids: Sequence[int], top: int = 5, sweep: int | None = SWEPT, seed: int = 0) -> list[Explanation]:
    """One explanation a target of a text [t] that the objective's template surrounds.

    `sweep` words are judged in each place, those that the gradient likes best; None: the whole lexicon. `top` of them are told.
    """
    if len(ids) != objective.length:
        raise InputError(f"expected a text of {objective.length} words, got {len(ids)}")
    text = torch.tensor([[list(ids)]])
    own = objective.score(text).activation[:, 0]
    words = _words(objective, text, sweep)
    swept = [_substitutions(objective, text, place, words, top) for place in range(objective.length)]
    without, orders = _without(objective, ids), _orders(objective, ids, seed)
    tokens = objective.model.vocabulary.tokens
    return [
        Explanation(
            str(target),
            objective.model.vocabulary.decode(ids),
            float(own[row]),
            [Place(tokens[id_], without[place][row], swept[place][row]) for place, id_ in enumerate(ids)],
            orders[row],
            sweep is None or sweep >= len(objective.lexicon),
        )
        for row, target in enumerate(objective.targets)
    ]


def _words(objective: Objective, text: torch.Tensor, sweep: int | None) -> torch.Tensor:
    """The words [k t m] that are tried in each place of a text, for each target."""
    k, t, v = len(objective.targets), objective.length, len(objective.lexicon)
    if sweep is None or sweep >= v:
        return objective.lexicon.expand(k, t, v)
    slope = torch.cat([objective.only([row]).gradient(text)[:, 0] for row in range(k)])
    return objective.lexicon[slope.topk(sweep, dim=-1).indices]


def _substitutions(objective: Objective, text: torch.Tensor, place: int, words: torch.Tensor, top: int) -> list[list[Substitution]]:
    """The best words other than the text's own in a place, for each target."""
    tried = text.expand(len(words), words.shape[2], -1).clone()
    tried[..., place] = words[:, place]
    scores = objective.score(tried).activation.masked_fill(words[:, place] == text[0, 0, place], -math.inf)
    best = scores.topk(min(top, scores.shape[1] - 1), dim=1)
    tokens = objective.model.vocabulary.tokens
    return [
        [Substitution(tokens[word], value) for word, value in zip(row[chosen].tolist(), values.tolist(), strict=True)]
        for row, chosen, values in zip(words[:, place], best.indices, best.values, strict=True)
    ]


def _without(objective: Objective, ids: Sequence[int]) -> list[list[float | None]]:
    """For each place the activations [k] of the text without its word."""
    k, t = len(objective.targets), objective.length
    shorter = _shorter(objective)
    if shorter is None:
        return [[None] * k] * t
    texts = torch.tensor([[[*ids[:place], *ids[place + 1 :]] for place in range(t)]])
    return shorter.score(texts).activation.T.tolist()


def _shorter(objective: Objective) -> Objective | None:
    """The judge of texts with a word less, or None where the template or a target asks for all of them."""
    try:
        words = objective.lexicon.cpu().numpy()
        return Objective(objective.model, objective.targets, objective.length - 1, objective.template, words)
    except InputError:
        return None


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
    return objective.score(torch.tensor(list(ids))[orders][None]).activation.tolist()
