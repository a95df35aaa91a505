"""Which neurons to study: the authors' 160 indices by their sampling rule, as far as a layer has them.

Authors' code (`optimize.py`): NumPy's legacy generator with seed 123. Each draw first discards one number of the stream, then draws
an index below 1024, again if it is a repeat. This gives 80 indices, and 80 others from the same seed again. Both
projection layers use the same indices.
"""

from collections.abc import Collection

import numpy as np

SEED, BELOW, COUNT = 123, 1024, 80


def _drawn(below: int = BELOW, count: int = COUNT, without: Collection[int] = ()) -> list[int]:
    """`count` different indices from 0 to `below` - 1, none of `without`, ascending."""
    if count > below - len({index for index in without if index < below}):
        raise ValueError(f"expected at least {count} indices to draw, got {below} less {len(without)}")
    rng = np.random.RandomState(SEED)
    found: set[int] = set()
    while len(found) < count:
        rng.randint(1, 2)
        index = int(rng.choice(range(below), 1, replace=False)[0])
        if index not in without:
            found.add(index)
    return sorted(found)


def sampled(width: int, special: Collection[int] = ()) -> list[int]:
    """The authors' 160 indices without the `special` ones, for a layer of at least 1024 units; all units of a layer up to 160.

    For widths in between, their rule is applied to the units there are.
    """
    if width <= 2 * COUNT:
        return [index for index in range(width) if index not in special]
    below = min(width, BELOW)
    first = _drawn(below)
    return sorted(index for index in [*first, *_drawn(below, without=first)] if index not in special)
