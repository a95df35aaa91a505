"""The places of a finished scan that are shown: the highest and lowest, a random sample, and some of each quantile."""

from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np

from optigram.scanning.state import State
from optigram.scanning.top_places import TopPlaces
from optigram.shapes import Float, Int

SHOWN, GROUPS, EACH = 10, 5, 4  # examples of the random sample; quantile groups, and examples of each
SPLITS = ("top", "bottom", "random", *(f"quantile {group + 1} of {GROUPS}" for group in range(GROUPS)))


@dataclass(frozen=True)
class Examples:
    """Places [e]: number of the target, number of the split, rank in it from 1, activation, document, position."""

    target: Int[np.ndarray, " e"]
    split: Int[np.ndarray, " e"]
    rank: Int[np.ndarray, " e"]
    value: Float[np.ndarray, " e"]
    document: Int[np.ndarray, " e"]
    position: Int[np.ndarray, " e"]

    @classmethod
    def of(cls, state: State) -> "Examples":
        """The places of a state, by target, split and rank."""
        parts = [*_ends(state), *_drawn(state)]
        whole = cls(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(cls)))
        order = np.lexsort((whole.rank, whole.split, whole.target))
        return cls(*(getattr(whole, field.name)[order] for field in fields(cls)))


def _ends(state: State) -> Iterator[Examples]:
    for split, (top_places, sign) in enumerate(((state.top, 1), (state.bottom, -1))):
        top_places: TopPlaces
        target, rank = np.nonzero(top_places.score > -np.inf)
        value = sign * top_places.score[target, rank] + np.float32(0)
        yield Examples(
            target, np.full_like(target, split), rank + 1, value, top_places.document[target, rank], top_places.position[target, rank]
        )


def _drawn(state: State) -> Iterator[Examples]:
    """The first of the random sample; and, from groups of equal size of the sample sorted by activation, some that are evenly spaced."""
    seen = state.statistics
    m, r = seen.values.shape
    if r == 0:
        return
    yield _of_sample(state, np.tile(np.arange(min(r, SHOWN)), (m, 1)), 2)
    if r < GROUPS * EACH:
        return
    order = np.lexsort((np.broadcast_to(np.arange(r), (m, r)), seen.values), axis=1)
    for group in range(GROUPS):
        begin, end = r * group // GROUPS, r * (group + 1) // GROUPS
        places = np.linspace(begin, end - 1, EACH).round().astype(np.int64)[::-1]
        yield _of_sample(state, order[:, places], 3 + group)


def _of_sample(state: State, rows: Int[np.ndarray, "m n"], split: int) -> Examples:
    seen = state.statistics
    m, n = rows.shape
    target, flat = np.repeat(np.arange(m), n), rows.ravel()
    rank = np.tile(np.arange(n) + 1, m)
    value = seen.values[target, flat]
    finite = np.isfinite(value)
    target, rank, value, flat = target[finite], rank[finite], value[finite], flat[finite]
    return Examples(target, np.full_like(target, split), rank, value, seen.document[flat], seen.position[flat])
