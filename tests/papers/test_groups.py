import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optigram.errors import InputError
from optigram.papers.poerner2018 import recipe
from optigram.papers.poerner2018.recipe import _activations_of, _cohesion, _correlations, _drawn_ngrams, _groups

RNG = np.random.default_rng(0)
TOPICS = RNG.normal(size=(500, 3))
OWNERS = np.array([0, 1, 0, 2, 1, 1, 2])
ACTIVATIONS = (TOPICS[:, OWNERS] * [1, 2, 0.5, 1, 3, 1, 1] + 0.2 * RNG.normal(size=(500, 7)) + 5).astype(np.float32)


def test_units_of_one_topic_are_one_group():
    assert _groups(ACTIVATIONS, 3) == [(0, 2), (1, 4, 5), (3, 6)]


def test_units_that_fire_against_each_other_are_apart():
    opposed = np.stack([TOPICS[:, 0], -TOPICS[:, 0], TOPICS[:, 1]], axis=1)
    assert (0, 1) not in _groups(opposed, 2)


def complete_linkage(distances: np.ndarray, count: int) -> list[tuple[int, ...]]:
    """Join the two groups whose farthest members are nearest, until `count` are left."""
    found = [(i,) for i in range(len(distances))]
    while len(found) > count:
        one, other = min(itertools.combinations(found, 2), key=lambda pair: distances[np.ix_(*pair)].max())
        found = [group for group in found if group not in (one, other)] + [tuple(sorted(one + other))]
    return sorted(found)


@given(st.integers(0, 1000), st.integers(1, 9))
def test_groups_are_those_of_complete_linkage(seed, count):
    activations = np.random.default_rng(seed).normal(size=(30, 9))
    assert _groups(activations, count) == complete_linkage(1 - np.corrcoef(activations.T), count)


@pytest.mark.parametrize("block", [7, 1 << 13])
def test_correlations_are_numpys(monkeypatch, block):
    monkeypatch.setattr(recipe, "_BLOCK", block)
    np.testing.assert_allclose(_correlations(ACTIVATIONS), np.corrcoef(ACTIVATIONS.T.astype(float)), atol=1e-12)


def test_a_constant_unit_is_uncorrelated():
    silent = np.column_stack([ACTIVATIONS[:, :2], np.full(500, 0.1)])
    assert _correlations(silent)[2].tolist() == [0, 0, 0]
    assert sorted(itertools.chain(*_groups(silent, 2))) == [0, 1, 2]


def test_cohesion_is_the_least_correlation_of_a_group():
    matrix = np.corrcoef(ACTIVATIONS.T.astype(float))
    expected = [matrix[0, 2], min(matrix[1, 4], matrix[1, 5], matrix[4, 5]), 1]
    assert _cohesion(ACTIVATIONS, [(0, 2), (1, 4, 5), (3,)]) == pytest.approx(expected)


def test_one_unit_is_one_group():
    assert _groups(ACTIVATIONS[:, :1]) == [(0,)]


@pytest.mark.parametrize(("ngrams", "count", "message"), [(1, 3, "at least 2 n-grams"), (5, 0, "at least 1 group")])
def test_too_little_is_refused(ngrams, count, message):
    with pytest.raises(InputError, match=message):
        _groups(ACTIVATIONS[:ngrams], count)


def test_activations_are_the_last_states(tiny, every_text):
    site = "visual.hidden"
    states = tiny.read(tiny.embedding[every_text], [site])[site][:, -1]
    np.testing.assert_allclose(_activations_of(tiny, site, every_text), states, atol=1e-5)


def test_ngrams_are_drawn_once_each(every_text):
    found = _drawn_ngrams(every_text, 50, seed=1)
    assert found.tolist() == sorted(found.tolist())
    assert len(np.unique(found, axis=0)) == 50
    assert np.array_equal(found, _drawn_ngrams(every_text, 50, seed=1))
    assert np.array_equal(_drawn_ngrams(every_text, 1000), every_text)
