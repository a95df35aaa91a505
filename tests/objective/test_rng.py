import numpy as np
import torch

from optigram.objective.rng import POOL, Streams

CPU = torch.device("cpu")


def test_a_stream_hangs_on_seed_target_and_restart_alone():
    both = Streams(5, ["a", "b"], 3, CPU)
    alone = Streams(5, ["b"], 2, CPU)
    assert torch.equal(both.normal(4)[1:, :2], alone.normal(4))
    logits = torch.zeros(2, 3, 2, 6)
    assert torch.equal(both.plus_gumbel(logits, 2)[1:, :2], alone.plus_gumbel(logits[1:, :2], 2))
    assert not torch.equal(Streams(6, ["b"], 2, CPU).normal(4), Streams(5, ["b"], 2, CPU).normal(4))


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
