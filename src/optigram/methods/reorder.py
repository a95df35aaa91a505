"""The same words in another order: a text that no swap of a word improves may hold the right words at the wrong places."""

import torch
from torch import Tensor

from optigram.objective.rng import Streams
from optigram.shapes import Bool, Int


class _Reorderings:
    """All texts that differ from one by two words exchanged, or by one word moved to another place.

    A chain that no swap improves has one round of them, `due` bool [k c]: as many as a round has candidates, drawn without
    replacement, or all of them, some repeatedly.
    """

    def __init__(self, texts: Int[Tensor, "k c t"]) -> None:
        self.due = torch.zeros_like(texts[..., 0], dtype=torch.bool)
        self.orders = torch.tensor(_orders(texts.shape[2]), device=texts.device)

    def instead(self, children: Int[Tensor, "k c m t"], texts: Int[Tensor, "k c t"], streams: Streams) -> Int[Tensor, "k c m t"]:
        """The candidates of a round, in whose place the chains that are due have their texts reordered."""
        m, drawn = children.shape[2], streams.uniform(len(self.orders))  # always drawn: random numbers must not depend on other targets
        which = drawn.argsort(dim=-1, stable=True).repeat(1, 1, -(-m // len(self.orders)))[..., :m]
        reordered = texts[:, :, None].expand_as(children).gather(3, self.orders[which])
        return torch.where(self.due[..., None, None], reordered, children)

    def postponed(self, ended: Bool[Tensor, "k c"]) -> Bool[Tensor, "k c"]:
        """Which of the chains that `ended` have their round of reorderings next, before anything else is done with them."""
        self.due = ended & ~self.due
        return self.due


def _orders(length: int) -> list[tuple[int, ...]]:
    """Where the words of a text come from: for two words that are exchanged, and for one that is moved."""
    found: dict[tuple[int, ...], None] = {}
    for first in range(length):
        for second in range(length):
            if first != second:
                exchanged, moved = list(range(length)), list(range(length))
                exchanged[first], exchanged[second] = second, first
                moved.insert(second, moved.pop(first))
                found |= {tuple(exchanged): None, tuple(moved): None}
    return list(found)
