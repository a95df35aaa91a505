"""Exact activations are those of the objective at every length; cores are the shortest parts, found by enumeration."""

import itertools

import pytest
import torch

from optigram.explaining.cores import cores
from optigram.explaining.exact import Exact, Scale
from optigram.objective.objective import Objective

TEXTS = [(3, 4, 5), (9, 9, 3), (5, 6, 7), (8, 3, 8)]


@pytest.fixture(scope="module")
def exact(tiny):
    return Exact(Objective(tiny, "visual:dog", 3))


def test_texts_of_any_length_are_judged_once(tiny, exact):
    texts = [(3,), (4, 5), *TEXTS, (3, 4, 5, 6, 7)]
    values = exact.score(texts)
    for text, value in zip(texts, values, strict=True):
        alone = Objective(tiny, "visual:dog", len(text)).score(torch.tensor([[text]])).activation
        assert float(alone[0, 0]) == pytest.approx(value, abs=1e-6)
    spent = exact.spent
    assert exact.score(texts).tolist() == values.tolist()
    assert exact.spent == spent


def test_a_position_that_a_text_lacks_has_no_value(tiny):
    exact = Exact(Objective(tiny, "visual:dog@1", 3))
    assert [bool(value > -1e9) for value in exact.score([(3,), (3, 4), (3, 4, 5)])] == [False, True, True]


@pytest.mark.parametrize("kept", [0.6, 0.9])
def test_a_core_is_the_shortest_part_that_keeps_its_share(exact, kept):
    scale = Scale(-1.0)
    for text, core in zip(TEXTS, cores(exact, TEXTS, scale, kept), strict=True):
        level = scale.level(kept, float(exact.score([text])[0]))
        parts = [part for size in (1, 2, 3) for part in itertools.combinations(text, size)]
        keeping = [(len(part), -float(exact.score([part])[0]), part) for part in parts if exact.score([part])[0] >= level]
        assert (len(core), -float(exact.score([core])[0])) == min(keeping)[:2]


def test_a_long_text_loses_one_word_after_the_other(exact):
    text = (3, 4, 5, 6, 7, 8, 9, 3, 4, 5)
    (core,) = cores(exact, [text], Scale(0.0))
    assert len(core) < len(text)
    assert exact.score([core])[0] >= 0.9 * exact.score([text])[0]
