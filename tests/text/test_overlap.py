"""Several texts of a neuron differ as much as was asked for, and are the best that do."""

import itertools

import pytest
import torch

from optigram.methods import Corpus
from optigram.optimize.diverse import search_diverse
from optigram.optimize.search import search
from optigram.text.overlap import KnownTexts, _overlap


def test_words_in_common_count_as_often_as_both_have_them():
    one = torch.tensor([[1, 1, 2], [1, 2, 3], [4, 5, 6]])
    assert _overlap(one, torch.tensor([1, 3, 1])).tolist() == pytest.approx([2 / 3, 2 / 3, 0])


def test_nothing_is_near_to_no_text():
    known = KnownTexts(torch.tensor([[[-1, -1]], [[1, 2]]]), most=0.5)
    assert known.near(torch.tensor([[[1, 2], [3, 2], [3, 4]]])).tolist() == [[False, False, False], [True, False, False]]


def test_each_text_is_the_best_that_is_apart_from_those_before(objective, every_text):
    corpus = Corpus("every text", every_text)
    found = search_diverse(objective, corpus, None, seed=0, n=3, most=0.34).found
    scores = objective.score(torch.from_numpy(every_text)[None]).activation
    for row, one in enumerate(found):
        allowed = torch.ones(len(every_text), dtype=torch.bool)
        for ids, activation in zip(one.ids, one.activation, strict=True):
            assert float(activation) == pytest.approx(float(scores[row][allowed].max()), abs=1e-6)
            allowed &= _overlap(torch.from_numpy(every_text), ids) <= 0.34 + 1e-6
        assert all(_overlap(a, b) <= 0.34 + 1e-6 for a, b in itertools.combinations(one.ids, 2))


def test_without_a_bound_the_best_is_the_same(objective, every_text):
    corpus = Corpus("every text", every_text)
    one, several = search(objective, corpus, n=1).found, search_diverse(objective, corpus, None, seed=0, n=2, most=0.34).found
    assert all(torch.equal(a.ids[0], b.ids[0]) for a, b in zip(one, several, strict=True))
