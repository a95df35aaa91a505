import pytest
import torch

from optigram.methods import shortlist
from optigram.methods.shortlist import COST, TEXTS, Shortlist
from optigram.objective.rng import Streams


def streams(objective, restarts=2):
    return Streams(0, [target.key for target in objective.targets], restarts, objective.device)


def test_the_words_are_those_the_gradient_at_random_texts_likes_best(objective):
    found = Shortlist.of(objective, streams(objective), 3, None).words
    rows = streams(objective).integers(len(objective.table), TEXTS, objective.length)
    slopes = objective.gradient(objective.lexicon[rows.flatten(1, 2)])
    liked = slopes.unflatten(1, (2, TEXTS)).mean(dim=2)
    assert torch.equal(found, liked.topk(3).indices)


@pytest.mark.parametrize("given", [None, torch.tensor([[0, 1, 2], [3, -1, 4]])])
def test_words_are_ranked_within_bounded_memory(objective, given, monkeypatch):
    given = None if given is None else given.expand(len(objective.targets), -1, -1)
    expected = Shortlist.of(objective, streams(objective), 3, given).words
    monkeypatch.setattr(shortlist, "RANKED", 2 * len(objective.table))
    assert torch.equal(Shortlist.of(objective, streams(objective), 3, given).words, expected)


def test_it_costs_what_it_says(objective):
    Shortlist.of(objective, streams(objective), 3, None)
    assert (objective.cost.spent == 2 * COST).all()


def test_a_list_as_long_as_the_vocabulary_holds_every_word_once(objective):
    found = Shortlist.of(objective, streams(objective), 100, None).words
    assert torch.equal(found.sort().values, torch.arange(len(objective.table)).expand(found.shape))


def test_words_that_are_given_are_listed_and_found(objective):
    given = torch.tensor([[0, 1, 2], [3, -1, 4]]).expand(len(objective.targets), -1, -1)
    words = Shortlist.of(objective, streams(objective), 2, given)
    at = words.places(given)
    assert at is not None
    assert torch.equal(at < 0, given < 0)
    assert torch.equal(words.rows(at.clamp(min=0))[given >= 0], given[given >= 0])
