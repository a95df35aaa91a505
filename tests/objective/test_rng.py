import numpy as np
import torch
from scipy import stats

from optigram.objective.rng import POOL, Streams

CPU = torch.device("cpu")


def test_a_stream_depends_on_seed_target_and_restart_alone():
    both = Streams(5, ["a", "b"], 3, CPU)
    alone = Streams(5, ["b"], 2, CPU)
    assert torch.equal(both.normal(4)[1:, :2], alone.normal(4))
    logits = torch.zeros(2, 3, 2, 6)
    assert torch.equal(both.plus_gumbel(logits, 2)[1:, :2], alone.plus_gumbel(logits[1:, :2], 2))
    assert not torch.equal(Streams(6, ["b"], 2, CPU).normal(4), Streams(5, ["b"], 2, CPU).normal(4))


def test_a_device_draws_the_same_bits():
    """What is computed on a GPU, by tensors instead of arrays, here on the CPU."""
    here, there = (Streams(5, ["a", "b"], 3, CPU) for _ in range(2))
    there._placed = torch.from_numpy(there._keys)
    for _ in range(2):
        assert torch.equal(here.integers(8000, 2, 5), there.integers(8000, 2, 5))
        assert torch.equal(here.uniform(7), there.uniform(7))
        assert torch.equal(here.normal(7), there.normal(7))
        assert torch.equal(here.gumbel(2, 100_000), there.gumbel(2, 100_000))
        logits = torch.zeros(2, 3, 2, 6)
        assert torch.equal(here.plus_gumbel(logits, 2), there.plus_gumbel(logits, 2))


def test_streams_are_even_and_independent():
    many = Streams(0, [f"unit {i}" for i in range(300)], 2, CPU)
    counts = torch.stack([many.integers(10, 50).flatten().bincount(minlength=10) for _ in range(20)]).sum(0)
    assert stats.chisquare(counts).pvalue > 1e-3
    numbers = many.uniform(400).view(600, -1)
    assert numbers.min() >= 0
    assert numbers.max() < 1
    assert stats.kstest(numbers.flatten().numpy(), "uniform").pvalue > 1e-3
    across, along = np.corrcoef(numbers.numpy()), np.corrcoef(numbers[:, :-1].flatten(), numbers[:, 1:].flatten())[0, 1]
    assert np.abs(across - np.eye(600)).max() < 0.25  # five standard deviations of 1 / sqrt(400)
    assert abs(along) < 0.01
    assert stats.kstest(many.normal(100).flatten().numpy(), "norm").pvalue > 1e-3


def test_gumbel_numbers_have_the_gumbel_moments():
    fresh = Streams(0, ["a"], 1, CPU).gumbel(100_000)
    pooled = Streams(0, ["a"], 1, CPU).plus_gumbel(torch.zeros(1, 1, 1, 100_000), 1)
    for numbers in (fresh, pooled):
        assert abs(float(numbers.mean()) - np.euler_gamma) < 0.02
        assert abs(float(numbers.var()) - np.pi**2 / 6) < 0.03
        assert numbers.isfinite().all()


def test_the_pool_serves_texts_that_are_larger_than_a_quarter_of_it():
    size = POOL // 2
    assert Streams(0, ["a"], 1, CPU).plus_gumbel(torch.zeros(1, 1, 1, size), 2).shape == (1, 1, 2, 1, size)


def test_numbers_above_bounds_are_those_that_would_be_drawn():
    """Many pieces of a sample, and bounds that let all numbers through, few, or none."""
    bounds = torch.linspace(-5, 25, 3 * 30_000).view(3, 30_000)
    together = Streams(5, ["a", "b"], 2, CPU)
    together.normal(7)
    whole = together.one(1, 0).gumbel(2, 3, 30_000)
    stream = together.one(1, 0)
    ahead = stream.next_gumbel(np.array([[5, 100_000], [0, 179_999]]))
    assert torch.equal(ahead, whole.flatten()[torch.tensor([[5, 100_000], [0, 179_999]])])
    places, numbers = stream.gumbel_above(bounds, samples=2)
    assert torch.equal(numbers, whole.flatten()[places])
    assert set((whole > bounds).flatten().nonzero().flatten().tolist()) <= set(places.tolist())
    assert len(places) < 1.01 * (whole > bounds).sum()
    together.skip(whole.numel())
    assert torch.equal(stream.normal(3), together.normal(3)[1:, :1])
