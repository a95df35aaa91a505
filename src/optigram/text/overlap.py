"""How near two texts are: the share of words that they have in common, wherever these stand."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from optigram.shapes import Bool, Float, Int


@dataclass(frozen=True)
class KnownTexts:
    """Texts of each target [k n t] from which others must be apart: no more than the share `most` of words in common with any."""

    ids: Int[Tensor, "k n t"]
    most: float

    def of(self, members: Sequence[int]) -> "KnownTexts":
        """The same for some of the targets."""
        return KnownTexts(self.ids[list(members)], self.most)

    def near(self, texts: Int[Tensor, "k1 c t"]) -> Bool[Tensor, "k c"]:
        """Which texts are too near."""
        return (_overlap(texts[:, :, None], self.ids.to(texts.device)[:, None]) > self.most + 1e-6).any(2)


def _overlap(one: Int[Tensor, "*a t"], other: Int[Tensor, "*b t"]) -> Float[Tensor, "*c"]:
    """The share of words in common: each word of a text counts as often as both texts have it."""
    length = one.shape[-1]
    common = torch.zeros(torch.broadcast_shapes(one.shape[:-1], other.shape[:-1]), device=one.device)
    for place in range(length):
        word = one[..., place, None]
        sooner = (one[..., :place] == word).sum(-1)  # how often it has been counted already
        common = common + (sooner < (other == word).sum(-1))
    return common / length
