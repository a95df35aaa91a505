"""Words at wrong places: where no swap of a word improves a text, the same words in another order may."""

import dataclasses
import itertools

import pytest
import torch

from optigram.methods import method_named
from optigram.methods.coordinate import Coordinate
from optigram.methods.reorder import _orders, _Reorderings
from optigram.objective.objective import Objective
from optigram.objective.rng import Streams
from optigram.objective.scores import Scores

WRONG, RIGHT, ROUNDS = (4, 3, 5), (3, 4, 5), 60  # two neighbours are exchanged


def values(ids: torch.Tensor) -> torch.Tensor:
    """3 for the right text, 2 for the same words in a wrong order, less the more words differ from that, least one swap from the right."""
    wrong, right = ((ids != torch.tensor(text)).sum(-1) for text in (WRONG, RIGHT))
    return torch.where(right == 0, 3.0, torch.where(right == 1, -9.0, 2.0 - wrong))


def best_of(method: Coordinate, tiny) -> tuple[float, int]:
    """The best value that a search finds in some rounds, and how many texts a round has."""
    start = torch.tensor(WRONG).expand(2, method.chains, -1)
    proposals = method.propose(Objective(tiny, ["language:a", "language:g"], 3), 0, start)
    texts, found = next(proposals).ids, []
    for _ in range(ROUNDS):
        told = values(texts)
        found.append(float(told.max()))
        texts = proposals.send(Scores(told)).ids
    return max(found), texts.shape[1]


def test_a_search_that_reorders_leaves_an_optimum_of_swaps(tiny, every_text):
    optimum = float(values(torch.from_numpy(every_text)).max())
    stuck = Coordinate(chains=2, shaken=0, deepened=0)
    swaps, texts = best_of(stuck, tiny)
    reordered, same = best_of(dataclasses.replace(stuck, reorders=True), tiny)
    assert optimum == 3
    assert swaps == 2
    assert reordered == optimum
    assert texts == same, "a round of reorderings has as many texts as any other"


@pytest.mark.parametrize("length", [2, 3, 5])
def test_the_orders_are_all_exchanges_and_moves(length):
    expected = set()
    for first, second in itertools.permutations(range(length), 2):
        exchanged, moved = list(range(length)), list(range(length))
        exchanged[first], exchanged[second] = exchanged[second], exchanged[first]
        moved.insert(second, moved.pop(first))
        expected |= {tuple(exchanged), tuple(moved)}
    assert len(_orders(length)) == len(expected)
    assert set(_orders(length)) == expected


def test_only_chains_that_ended_are_reordered_once(tiny):
    texts = torch.arange(5).expand(2, 2, 5).clone()
    reorderings, streams = _Reorderings(texts), Streams(0, ["a", "b"], 2, texts.device)
    children, ended = torch.full((2, 2, 40, 5), 9), torch.tensor([[True, False], [False, False]])
    assert (reorderings.instead(children, texts, streams) == 9).all()
    assert torch.equal(reorderings.postponed(ended), ended)
    made = reorderings.instead(children, texts, streams)
    assert set(map(tuple, made[0, 0].tolist())) == set(_orders(5)), "all of them, where there is room"
    assert (made[1] == 9).all()
    assert (made[0, 1] == 9).all()
    assert not reorderings.postponed(ended).any(), "then they end"


def test_long_searches_of_recurrent_models_reorder():
    for budget, attends, reorders in ((1000, False, False), (10_000, False, True), (10_000, True, False)):
        assert method_named("coordinate", budget, attends=attends).reorders == reorders
