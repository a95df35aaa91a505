"""Projections on the simplex are the nearest points, and sharpening goes as far as it says."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from optigram.methods.simplex import Simplex, _sharpened, _to_simplex

NUMBERS = st.lists(st.floats(-3, 3, width=32), min_size=2, max_size=8)


@settings(deadline=None, max_examples=60)
@given(NUMBERS)
def test_a_projection_is_the_nearest_point(numbers):
    """What is above zero was lowered by one amount, and what is at zero would have been lowered below it."""
    points = torch.tensor(numbers)
    found = _to_simplex(points)
    assert float(found.sum()) == pytest.approx(1, abs=1e-5)
    assert found.min() >= 0
    lowered = (points - found)[found > 0]
    assert float(lowered.max() - lowered.min()) < 1e-5
    assert (points[found == 0] <= lowered.mean() + 1e-5).all()


def test_sharpening_moves_weights_apart():
    weights = torch.tensor([[0.4, 0.3, 0.3, 0.0], [0.97, 0.01, 0.01, 0.01]])
    sharp = _sharpened(weights, 0.25)
    assert sharp.sum(-1).tolist() == pytest.approx([1, 1])
    assert float((sharp[0] - torch.tensor([1 / 3, 1 / 3, 1 / 3, 0])).norm() ** 2) == pytest.approx(0.25 * 2 / 3, rel=1e-4)
    assert torch.equal(sharp[1], weights[1]), "it was sharp enough"
    assert torch.equal(_sharpened(weights, 0.0), weights)


def test_theta_stays_on_the_simplex():
    theta = torch.randn(2, 3, 4, 6, generator=torch.Generator().manual_seed(0))
    Simplex(steps=10).settle(theta, 5)
    assert theta.min() >= 0
    assert theta.sum(-1).flatten().tolist() == pytest.approx([1] * 24, abs=1e-5)
