"""Random numbers that depend on (seed, target, restart) only, so that a target's result is independent of the batch."""

import functools
import hashlib
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from optigram.shapes import Float

POOL = 1 << 21  # gumbel numbers drawn once per seed and read at random offsets


class Streams:
    """One stream of random numbers for each of k targets x c restarts; tensors are on `device`."""

    seed: int
    shape: tuple[int, int]
    device: torch.device

    def __init__(self, seed: int, targets: Sequence[str], restarts: int, device: torch.device) -> None:
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

    def integers(self, below: int, *shape: int) -> Tensor:
        """Integers from 0 to below - 1 [k c *shape]."""
        return self._draw(lambda rng: rng.integers(below, size=shape), shape)

    def gumbel(self, *shape: int) -> Tensor:
        """Fresh standard gumbel numbers [k c *shape]: minus the logarithm of exponential ones, kept above 0."""
        tiny = np.finfo(np.float32).tiny
        return -self._draw(lambda rng: np.maximum(rng.standard_exponential(shape, dtype=np.float32), tiny), shape).log()

    def plus_gumbel(self, logits: Float[Tensor, "k c t v"], samples: int) -> Float[Tensor, "k c samples t v"]:
        """Logits [k c t v] plus standard gumbel numbers, `samples` times: [k c samples t v].

        The numbers are read from a pool of `POOL` at an offset that each stream draws: drawing fresh ones costs as
        much as the matrix products of a step, reading them almost nothing.
        """
        shape = logits.shape[2:]
        size = shape.numel()
        pool = _gumbel_pool(self.seed, max(POOL, 4 * size), self.device)
        noisy = torch.empty(*self.shape, samples, *shape, device=self.device)
        for rng, row, outs in zip(self._generators, logits.flatten(0, 1), noisy.flatten(0, 1), strict=True):
            for start, out in zip(rng.integers(len(pool) - size, size=samples).tolist(), outs, strict=True):
                torch.add(row, pool[start : start + size].view(shape), out=out)
        return noisy

    def _draw(self, draw, shape: tuple[int, ...]) -> Tensor:
        numbers = np.stack([draw(rng) for rng in self._generators])
        return torch.from_numpy(numbers).view(*self.shape, *shape).to(self.device)


def _number(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8])


@functools.lru_cache(maxsize=2)
def _gumbel_pool(seed: int, size: int, device: torch.device) -> Tensor:
    return Streams(seed, ["pool"], 1, device).gumbel(size)[0, 0]
