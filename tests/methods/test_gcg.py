"""Merges and restarts of GCG, and first texts that survive re-tokenization."""

import pytest
import torch

from models.tiny_models import network
from optigram.methods.gcg import Gcg
from optigram.methods.moves import initial_texts
from optigram.objective.objective import Objective
from optigram.objective.rng import Streams
from optigram.objective.scores import Scores

LONG = 12  # words


def scores(values: torch.Tensor) -> Scores:
    return Scores(values, None, values)


def test_the_next_best_swaps_are_kept_where_they_improve_the_text_further():
    texts, values = torch.zeros(1, 1, 4, dtype=torch.int64), torch.tensor([[1.0]])
    places, words = torch.tensor([[[2, 2, 0, 3, 1]]]), torch.tensor([[[5, 6, 7, 8, 9]]])
    merging = Gcg(merges=2)._merged(texts, values, places, words, torch.tensor([[[4.0, 5.0, 2.0, 3.0, 0.0]]]))
    assert next(merging).ids.tolist() == [[[0, 0, 6, 8]]], "the second best position, not the second best swap"
    assert merging.send(scores(torch.tensor([[4.5]]))).ids.tolist() == [[[7, 0, 6, 0]]], "a merge that does not improve is not kept"
    with pytest.raises(StopIteration) as ended:
        merging.send(scores(torch.tensor([[6.0]])))
    assert ended.value.value[0].tolist() == [[[7, 0, 6, 0]]]
    assert ended.value.value[1].tolist() == [[6.0]]


def test_a_swap_that_improves_nothing_leaves_the_text():
    texts, values = torch.zeros(1, 1, 4, dtype=torch.int64), torch.tensor([[9.0]])
    merging = Gcg(merges=0)._merged(texts, values, torch.tensor([[[2]]]), torch.tensor([[[5]]]), torch.tensor([[[4.0]]]))
    with pytest.raises(StopIteration) as ended:
        next(merging)
    assert ended.value.value[0].tolist() == [[[0, 0, 0, 0]]]


@pytest.mark.parametrize("stall", [None, 2])
def test_a_chain_without_a_better_text_goes_on_from_the_best_one(tiny, stall):
    method = Gcg(candidates=3, among=2, stall=stall, shaken=2)
    proposals = method.propose(Objective(tiny, ["language:a"], LONG), 0)
    first = next(proposals).ids[0, 0]
    children = proposals.send(scores(torch.tensor([[1.0]]))).ids
    away = []
    for _ in range(4):
        away.append(int((children[0] != first).sum(-1).max()))
        children = proposals.send(scores(torch.zeros(children.shape[:2]))).ids
    assert away[:2] == [1, 1]
    assert (max(away[2:]) > 1) == (stall is not None)


def test_first_texts_survive_where_they_must():
    model = network("bert")
    rest = {}
    for must in (False, True):
        objective = Objective(model, ["mlp_act.1:0@max"], LONG, must_survive=must)
        texts = initial_texts(objective, Streams(0, ["one"], 16, objective.device), None)
        rest[must] = Objective(model, ["mlp_act.1:0@max"], LONG, must_survive=True).is_allowed(texts).float().mean()
    assert rest[False] < 0.7
    assert rest[True] >= 0.9
