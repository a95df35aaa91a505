"""The prefix tree: texts with a common beginning share the forward over it, in the calls that cost least."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from optigram.models.base import Step
from optigram.shapes import Float, Int


class Level(NamedTuple):
    """The distinct prefixes of one length: their last words [n r], the row of the prefix before these [n], and the owner of each [n]."""

    words: Int[Tensor, "n r"]
    parents: Int[Tensor, " n"]
    owners: Int[Tensor, " n"]

    @classmethod
    def tree(cls, rows: Int[Tensor, "n w"], ends: Sequence[int]) -> tuple[list["Level"], Int[Tensor, " n"]]:
        """The levels of sorted `rows` [n 1+s] (owner, then words), and where each row ends: its place [n] in the last level.

        Each level extends to the next of `ends`, the last of which is s. Prefixes are shared within an owner only, so that the cost of
        a target does not depend on the others.
        """
        fresh = torch.ones_like(rows, dtype=torch.bool)
        fresh[1:] = (rows[1:] != rows[:-1]).cumsum(dim=1) > 0
        node = fresh.cumsum(dim=0) - 1
        tree, begin = [], 0
        for end in ends:
            first = fresh[:, end]
            tree.append(cls(rows[first, begin + 1 : end + 1], node[first, begin], rows[first, 0]))
            begin = end
        return tree, node[:, -1]

    def in_sizes(self, sizes: Sequence[int]) -> Iterator[tuple[Int[Tensor, " m"], int]]:
        """Prefixes of sorted owners in blocks of these sizes, the largest first: (their numbers, the size); one may not be full.

        The size of a row's block does not depend on other owners.
        """
        owners = self.owners
        counts = torch.bincount(owners)
        rank = torch.arange(len(owners), device=owners.device) - (counts.cumsum(0) - counts)[owners]
        begin = torch.zeros_like(counts)
        for size, blocks in zip(sizes, _blocks_of(counts, sizes), strict=True):
            end = begin + blocks * size
            rows = torch.nonzero((rank >= begin[owners]) & (rank < end[owners])).flatten()
            for part in rows.split(size) if len(rows) else ():
                yield part, size
            begin = end


def sorted_order(rows: Int[Tensor, "n w"]) -> Int[Tensor, " n"]:
    """The order [n] that sorts rows [n w] by their first column, then the second, and so on."""
    columns = rows.cpu().numpy().T[::-1]
    return torch.from_numpy(np.lexsort(columns)).to(rows.device)


def _blocks_of(counts: Int[Tensor, "*k"], sizes: Sequence[int]) -> list[Int[Tensor, "*k"]]:
    """How many blocks of each size these numbers of rows take: a block that is more than half full is preferred to smaller ones."""
    found = []
    for size in sizes:
        spare = size - 1 if size == sizes[-1] else size // 2 - 1
        found.append((counts + spare) // size)
        counts = (counts - found[-1] * size).clamp(min=0)
    return found


def prefix_counts(rows: Int[Tensor, "k c w"], ends: Sequence[int]) -> Int[Tensor, "k e"]:
    """How many distinct prefixes the texts of each owner have at each of `ends`; sorted `rows` as for `Level.tree`."""
    fresh = (rows[:, 1:] != rows[:, :-1]).cumsum(dim=2) > 0
    return 1 + fresh[:, :, list(ends)].sum(1)


def cheapest_ends(step: Step, counts: Int[Tensor, "k e"], ends: Sequence[int]) -> tuple[list[tuple[int, ...]], Float[np.ndarray, " k"]]:
    """For each owner those of `ends` at which its texts' prefixes are shared at the least cost, and that cost, in tokens.

    Between two of them, every text of a level runs all tokens in one call. So a run of words where nothing branches is one call, and
    so are words where so little branches that a further call, with its copies of the cache, costs more than it spares. Counted
    are calls, the tokens in their blocks, and the tokens in the caches that they take over: nothing is timed. A step without blocks
    runs a level in one call.
    """
    distinct, which = np.unique(counts.cpu().numpy(), axis=0, return_inverse=True)
    calls, texts = np.ones_like(distinct), distinct
    if step.blocks:
        per_size = [part.numpy() for part in _blocks_of(torch.from_numpy(distinct), step.blocks)]
        calls, texts = np.sum(per_size, 0), np.tensordot(step.blocks, per_size, 1)
    begins = np.array([0, *ends[:-1]])
    best, before = np.zeros((len(distinct), len(ends) + 1)), np.zeros((len(distinct), len(ends)), dtype=int)
    for level, end in enumerate(ends):
        tokens = end - begins[: level + 1] + step.copying * begins[: level + 1]
        options = best[:, : level + 1] + calls[:, level, None] * step.overhead + texts[:, level, None] * tokens
        before[:, level] = options.argmin(1)
        best[:, level + 1] = options.min(1)
    chosen = []
    for row in before:
        levels, level = [], len(ends)
        while level:
            levels.append(ends[level - 1])
            level = int(row[level - 1])
        chosen.append(tuple(reversed(levels)))
    return [chosen[i] for i in which.flatten()], best[which.flatten(), -1]
