"""Texts with a common beginning share the work on it: sorted texts, seen as a tree of their prefixes."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from optigram.shapes import Int


class Level(NamedTuple):
    """The distinct prefixes of one length: last word, row of the prefix one shorter, and owner of each [n]."""

    words: Int[Tensor, " n"]
    parents: Int[Tensor, " n"]
    owners: Int[Tensor, " n"]


def sorted_order(rows: Int[Tensor, "n w"]) -> Int[Tensor, " n"]:
    """The order [n] that sorts rows [n w] by their first column, then the second, and so on."""
    columns = rows.cpu().numpy().T[::-1]
    return torch.from_numpy(np.lexsort(columns)).to(rows.device)


def prefix_tree(rows: Int[Tensor, "n w"]) -> tuple[list[Level], Int[Tensor, " n"]]:
    """The levels of sorted `rows` [n 1+s] (owner, then words), and where each row ends: its place [n] in the last level.

    Prefixes are shared within an owner only, so that what a target pays does not hang on the others.
    """
    fresh = torch.ones_like(rows, dtype=torch.bool)
    fresh[1:] = (rows[1:] != rows[:-1]).cumsum(dim=1) > 0
    node = fresh.cumsum(dim=0) - 1
    tree = []
    for column in range(1, rows.shape[1]):
        first = fresh[:, column]
        tree.append(Level(rows[first, column], node[first, column - 1], rows[first, 0]))
    return tree, node[:, -1]
