"""Random numbers that hang on (seed, target, restart) alone, so that a target's result does not hang on its neighbours."""

import functools
import hashlib
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

POOL = 1 << 21  # gumbel numbers drawn once for a seed and read from random places


class Streams:
    """One stream of random numbers for each text of k targets x c restarts."""

    def __init__(self, seed: int, targets: Sequence[str], restarts: int, device: torch.device):
        self.seed, self.shape, self.device = seed, (len(targets), restarts), device
        self._generators = [
            np.random.Generator(np.random.SFC64(np.random.SeedSequence([seed, _number(target), restart])))
            for target in targets
            for restart in range(restarts)
        ]

    def normal(self, *shape: int) -> Tensor:
        """Standard normal numbers [k c *shape]."""
        return self._draw(lambda rng: rng.standard_normal(shape, dtype=np.float32), shape)

    def uniform(self, *shape: int) -> Tensor:
        """Numbers from 0 to 1 [k c *shape]."""
        return self._draw(lambda rng: rng.random(shape, dtype=np.float32), shape)

    def gumbel(self, *shape: int) -> Tensor:
        """Fresh standard gumbel numbers [k c *shape]: minus the logarithm of exponential ones, which are never 0."""
        tiny = np.finfo(np.float32).tiny
        return -self._draw(lambda rng: np.maximum(rng.standard_exponential(shape, dtype=np.float32), tiny), shape).log()

    def pooled_gumbel(self, *shape: int) -> Tensor:
        """Standard gumbel numbers [k c *shape], read from a pool of `POOL` from a place that each stream draws.

        Drawing fresh numbers costs as much as the matrix products of a step; reading them costs a copy.
        """
        size = int(np.prod(shape))
        pool = _gumbel_pool(self.seed, max(POOL, 4 * size), self.device)
        parts = [pool[start : start + size] for start in (int(rng.integers(len(pool) - size)) for rng in self._generators)]
        return torch.stack(parts).view(*self.shape, *shape)

    def _draw(self, draw, shape: tuple[int, ...]) -> Tensor:
        numbers = np.stack([draw(rng) for rng in self._generators])
        return torch.from_numpy(numbers).view(*self.shape, *shape).to(self.device)


def _number(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8])


@functools.lru_cache(maxsize=2)
def _gumbel_pool(seed: int, size: int, device: torch.device) -> Tensor:
    return Streams(seed, ["pool"], 1, device).gumbel(size)[0, 0]
