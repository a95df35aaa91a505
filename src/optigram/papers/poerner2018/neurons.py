"""Which neurons: the authors' own 160 indices, by their sampling rule, as far as a layer has them.

Authors' code (`optimize.py`): NumPy's legacy generator with seed 123; for each draw one number is first taken from the
stream and thrown away, then an index below 1024 is drawn, and drawn again if it was had before; 80 of them, and then, from
the same seed again, 80 others. The same indices serve both projection layers.
"""

from collections.abc import Collection

import numpy as np

SEED, BELOW, COUNT = 123, 1024, 80


def drawn(below: int = BELOW, count: int = COUNT, without: Collection[int] = ()) -> list[int]:
    """`count` different indices from 0 to `below` - 1 that are not among `without`, ascending."""
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
    """The authors' 160 indices for a layer of at least 1024 units, less the `special` ones; all units of one below 160.

    Between, their rule is applied to the units that there are.
    """
    if width <= 2 * COUNT:
        return [index for index in range(width) if index not in special]
    below = min(width, BELOW)
    first = drawn(below)
    return sorted(index for index in [*first, *drawn(below, without=first)] if index not in special)
