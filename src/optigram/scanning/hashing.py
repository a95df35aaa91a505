"""Hashes: of places, for a random choice that depends on (seed, document, position) alone; and of the last tokens at a place (folds)."""

import numpy as np

from optigram.shapes import Int

ODD, FIRST, SECOND = (np.uint64(number) for number in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))


def mixed(numbers: Int[np.ndarray, "..."], seed: int = 0) -> Int[np.ndarray, "..."]:
    """Numbers from 0 to 2^63 - 1 that look drawn at random, one for each number (the finalizer of splitmix64)."""
    with np.errstate(over="ignore"):
        found = numbers.astype(np.uint64) + ODD * np.uint64(seed + 1)
        found = (found ^ (found >> np.uint64(30))) * FIRST
        found = (found ^ (found >> np.uint64(27))) * SECOND
        found ^= found >> np.uint64(31)
    return (found >> np.uint64(1)).astype(np.int64)


def of_places(documents: Int[np.ndarray, " n"], positions: Int[np.ndarray, " n"], seed: int) -> Int[np.ndarray, " n"]:
    """A random number for each place, from 0 to 2^63 - 1."""
    return mixed(mixed(documents, seed) ^ positions.astype(np.int64), seed)


def levels(documents: Int[np.ndarray, " n"], most: int, seed: int) -> Int[np.ndarray, " n"]:
    """A level for each document: 0 for half of them, 1 for a quarter, and so on; the last for all that remain."""
    chance = mixed(documents, seed + 1)
    lowest = chance & -chance
    return np.where(chance == 0, most - 1, np.minimum(np.log2(np.maximum(lowest, 1)).astype(np.int64), most - 1))


def folds(ids: Int[np.ndarray, "b s"], length: int) -> Int[np.ndarray, "b s"]:
    """A hash of the last `length` tokens that end at each position, or of all there are; never 0. A length of 0 gives 0 everywhere."""
    if length == 0:
        return np.zeros(ids.shape, np.int64)
    backs = np.arange(min(length, ids.shape[1]))
    steps, found = mixed(mixed(ids, 7) + backs[:, None, None], 11), np.zeros(ids.shape, np.int64)
    for back, shifted in enumerate(steps):
        found[:, back:] ^= shifted[:, : ids.shape[1] - back]
    return np.maximum(mixed(found), 1)
