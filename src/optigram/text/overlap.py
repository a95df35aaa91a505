"""The overlap of two texts: the share of words that they have in common, at any position."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from optigram.shapes import Bool, Float, Int


@dataclass(frozen=True)
class KnownTexts:
    """Texts of each target [k n t], from which others must differ: at most the share `most` of words in common with any of them."""

    ids: Int[Tensor, "k n t"]
    most: float

    def of(self, members: Sequence[int]) -> "KnownTexts":
        """The texts of some of the targets."""
        return KnownTexts(self.ids[list(members)], self.most)

    def near(self, texts: Int[Tensor, "k1 c t"]) -> Bool[Tensor, "k c"]:
        """Which texts overlap too much with a known one."""
        return (_overlap(texts[:, :, None], self.ids.to(texts.device)[:, None]) > self.most + 1e-6).any(2)


def _overlap(one: Int[Tensor, "*a t"], other: Int[Tensor, "*b t"]) -> Float[Tensor, "*c"]:
    """The share of words in common: a word counts as often as both texts have it."""
    length = one.shape[-1]
    common = torch.zeros(torch.broadcast_shapes(one.shape[:-1], other.shape[:-1]), device=one.device)
    for place in range(length):
        word = one[..., place, None]
        sooner = (one[..., :place] == word).sum(-1)  # how often it has been counted already
        common = common + (sooner < (other == word).sum(-1))
    return common / length
