"""Random numbers that depend on (seed, target, restart) and on what was drawn before only: the same bits in any batch, on any device.

The generator counts: number i of a stream is a hash of the stream's key and of i, so nothing is kept but the count, and numbers
are made where they are used. The hash is the finalizer of SplitMix64 (Steele, Lea & Flood 2014). All arithmetic on the bits is
exact; logarithms and the like are taken once, on the CPU, in tables.
"""

import copy
import functools
import hashlib
import importlib.util
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from optigram.shapes import Float, Int, Shaped, unchecked

POOL = 1 << 21  # gumbel numbers of equal probability: a fresh number is one of them, and others are read from all of them in random order
_STEP, _FIRST, _SECOND = (value - (1 << 64) for value in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))  # signed
_MIXES = (30, _FIRST), (27, _SECOND), (31, 1)  # by how many bits a number is shifted, and what it is multiplied by then
COMPILER = "triton"  # it comes with PyTorch for CUDA
LARGE = 1 << 20  # numbers from which a GPU draws them in one kernel of their own
_PIECE = 1 << 16  # numbers that a processor hashes at once: they stay in its cache


class Streams:
    """One stream of random numbers for each of k targets x c restarts; tensors are on `device`."""

    seed: int
    shape: tuple[int, int]
    device: torch.device

    def __init__(self, seed: int, targets: Sequence[str], restarts: int, device: torch.device) -> None:
        self.seed, self.shape, self.device = seed, (len(targets), restarts), device
        keys = [[_key(seed, target, restart) for restart in range(restarts)] for target in targets]
        self._keys, self._count = np.array(keys, dtype=np.int64).reshape(-1, 1), 0
        self._placed = None if device.type == "cpu" else torch.from_numpy(self._keys).to(device)

    def of(self, members: Sequence[int]) -> "Streams":
        """The streams of some of the targets, by number, which go on where these are."""
        part = copy.copy(self)
        part.shape = len(members), self.shape[1]
        rows = self._keys.reshape(*self.shape)[list(members)].reshape(-1, 1)
        part._keys, part._placed = rows, None if self._placed is None else torch.from_numpy(rows).to(self.device)
        return part

    def one(self, target: int, restart: int) -> "Streams":
        """The stream of one restart of a target, which goes on where these are."""
        alone = copy.copy(self)
        alone.shape, place = (1, 1), target * self.shape[1] + restart
        alone._keys = self._keys[place : place + 1]
        alone._placed = None if self._placed is None else self._placed[place : place + 1]
        return alone

    @property
    def drawn(self) -> int:
        """How many numbers of every stream were drawn."""
        return self._count

    def skip(self, count: int) -> None:
        """Leave out the next numbers of every stream."""
        self._count += count

    def normal(self, *shape: int) -> Shaped[Tensor, "k c ..."]:
        """Standard normal numbers [k c *shape]."""
        return _quantiles("normal", self.device, self._below(POOL, *shape))

    def uniform(self, *shape: int) -> Shaped[Tensor, "k c ..."]:
        """Numbers from 0 to 1, without 1 [k c *shape]."""
        return self._below(1 << 24, *shape).float().mul_(2**-24)

    def integers(self, below: int, *shape: int) -> Shaped[Tensor, "k c ..."]:
        """Integers from 0 to below - 1 [k c *shape]."""
        return self._below(below, *shape)

    def gumbel(self, *shape: int) -> Shaped[Tensor, "k c ..."]:
        """Fresh standard gumbel numbers [k c *shape]."""
        return _quantiles("gumbel", self.device, self._below(POOL, *shape))

    def next_gumbel(self, at: Int[np.ndarray, "*n"]) -> Float[Tensor, "*n"]:
        """Some of the numbers that `gumbel` of one stream draws next, by place, on a processor. None is used up."""
        places = _scaled(_hashed((self._count + at) * _STEP + self._keys.reshape(())), POOL)
        return _quantiles("gumbel", self.device, torch.from_numpy(places))

    def gumbel_above(self, bounds: Float[Tensor, "t v"], samples: int) -> tuple[Int[Tensor, " n"], Float[Tensor, " n"]]:
        """Those of the numbers `gumbel(samples, t, v)` of one stream that are above bounds [t v], on a processor: their places in
        the whole, ascending, and the numbers. One that is hardly below its bound may be among them.
        """
        least = ((-(-bounds.flatten()).exp()).exp() * POOL - 1).clamp(min=-1).long().numpy()
        at, found, made = [], [], np.empty(min(_PIECE, len(least)), dtype=np.int64)
        for start in range(0, samples * len(least), len(least)):
            for begin in range(0, len(least), _PIECE):
                out = made[: len(least) - begin]
                self._fill(slice(None), self._count + start + begin, POOL, out[None])
                kept = np.flatnonzero(out > least[begin : begin + len(out)])
                at.append(kept + (start + begin))
                found.append(out[kept])
        self.skip(samples * len(least))
        return torch.from_numpy(np.concatenate(at)), _quantiles("gumbel", self.device, torch.from_numpy(np.concatenate(found)))

    def plus_gumbel(
        self, logits: Float[Tensor, "k c t v"], samples: int, change: Callable[[Tensor], object] = lambda noisy: None
    ) -> Float[Tensor, "k c samples t v"]:
        """Logits [k c t v] plus standard gumbel numbers, `samples` times: [k c samples t v].

        What `change` does to them in place, position by position, is done to a part of them while it is in a processor's cache.

        The numbers are read from a shuffled pool at an offset that each stream draws: drawing fresh ones costs as
        much as the matrix products of a step, reading them almost nothing.
        """
        shape = logits.shape[2:]
        size = shape.numel()
        pool = _shuffled(self.seed, max(POOL, 4 * size), self.device)
        if self._placed is not None:
            places = self._below(len(pool) - size, samples)[..., None] + torch.arange(size, device=self.device)
            noisy = logits[:, :, None] + pool[places].view(*self.shape, samples, *shape)
            change(noisy)
            return noisy
        starts = self._below(len(pool) - size, samples).flatten(0, 1).tolist()
        noisy = torch.empty(*self.shape, samples, *shape)
        for begins, row, outs in zip(starts, logits.flatten(0, 1), noisy.flatten(0, 1), strict=True):
            for begin, out in zip(begins, outs, strict=True):
                torch.add(row, pool[begin : begin + size].view(shape), out=out)
                change(out)
        return noisy

    def _below(self, below: int, *shape: int) -> Shaped[Tensor, "k c ..."]:
        """The next integers of every stream, from 0 to below - 1."""
        size, first = torch.Size(shape).numel(), self._count
        self._count += size
        if self._placed is not None:
            draw = _fused() if len(self._keys) * size >= LARGE else _drawn
            steps = torch.arange(size, device=self.device).mul_(_STEP)
            made = draw(self._placed + _times_step(first), steps, below)
        else:
            made = torch.empty(len(self._keys), size, dtype=torch.int64)
            rows = max(_PIECE // max(size, 1), 1)
            for row in range(0, len(self._keys), rows):
                for begin in range(0, size, _PIECE):
                    self._fill(slice(row, row + rows), first + begin, below, made[row : row + rows, begin : begin + _PIECE].numpy())
        return made.view(*self.shape, *shape)

    def _fill(self, members: slice, first: int, below: int, out: Int[np.ndarray, "k n"]) -> None:
        """Put integers from 0 to below - 1 of some streams, from the number `first` on, into `out`."""
        np.add(self._keys[members] + _times_step(first), _steps()[: out.shape[1]], out=out)
        _put_scaled_hash(out, below)


@unchecked  # a compiler reads it
def _drawn(keys: Int[Tensor, "k 1"], steps: Int[Tensor, " n"], below: int) -> Int[Tensor, "k n"]:
    """The next integers of every stream on a device, from 0 to below - 1; `steps` are 0, 1, 2 ... times the step."""
    return _scaled(_hashed(keys + steps), below)


@functools.cache
def _fused() -> Callable[[Tensor, Tensor, int], Tensor]:
    """The same in one kernel in place of fifteen, where there is the compiler that makes it."""
    return torch.compile(_drawn, dynamic=False) if importlib.util.find_spec(COMPILER) else _drawn


def _hashed(bits: Any) -> Any:
    """63 random bits for each number of an array or tensor of 64-bit integers, in place."""
    for shift, factor in _MIXES:
        bits ^= (bits >> shift) & ((1 << (64 - shift)) - 1)
        if factor != 1:
            bits *= factor
    bits &= (1 << 63) - 1
    return bits


def _put_scaled_hash(numbers: Int[np.ndarray, "..."], below: int) -> None:
    """Put `_scaled(_hashed(numbers), below)` in place of an array of numbers, in fewer passes and without new memory for each."""
    bits = numbers.view(np.uint64)
    shifted = np.empty_like(bits)
    for shift, factor in _MIXES:
        np.right_shift(bits, np.uint64(shift), out=shifted)
        bits ^= shifted
        if factor != 1:
            bits *= np.uint64(factor % (1 << 64))
    if below & (below - 1):
        bits &= np.uint64((1 << 63) - 1)
        _scaled(numbers, below)
    else:
        bits <<= np.uint64(1)
        bits >>= np.uint64(65 - below.bit_length())


def _scaled(bits: Any, below: int) -> Any:
    """Integers from 0 to below - 1, from the 31 highest of 63 bits by a product, in place."""
    bits >>= 32
    bits *= below
    bits >>= 31
    return bits


def _times_step(number: int) -> int:
    """A number times the step, as 64 bits of a signed number."""
    return (number * _STEP + (1 << 63)) % (1 << 64) - (1 << 63)


@functools.cache
def _steps() -> Int[np.ndarray, " n"]:
    """0, 1, 2 ... times the step."""
    return np.arange(_PIECE) * _STEP


def _key(seed: int, target: str, restart: int) -> int:
    """64 bits, as a signed number."""
    return int.from_bytes(hashlib.sha256(f"{seed} {restart} {target}".encode()).digest()[:8], signed=True)


def _quantiles(name: str, device: torch.device, places: Int[Tensor, "..."]) -> Float[Tensor, "..."]:
    """The numbers of a table at some places."""
    return _table(name, device).index_select(0, places.flatten()).view_as(places)


@functools.cache
def _table(name: str, device: torch.device) -> Float[Tensor, " n"]:
    """`POOL` numbers of equal probability, ascending: the quantiles of a distribution in the middle of each."""
    if device.type != "cpu":
        return _table(name, torch.device("cpu")).to(device)
    from scipy import special

    chance = (np.arange(POOL) + 0.5) / POOL
    return torch.from_numpy((special.ndtri(chance) if name == "normal" else -np.log(-np.log(chance))).astype(np.float32))


@functools.lru_cache(maxsize=2)
def _shuffled(seed: int, size: int, device: torch.device) -> Float[Tensor, " n"]:
    """`size` gumbel numbers in random order."""
    return Streams(seed, ["pool"], 1, device).gumbel(size)[0, 0]
