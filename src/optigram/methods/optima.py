"""What the chains of coordinate ascent know of their optima: the best texts, and how far down the ranking they looked there."""

from typing import NamedTuple

import torch
from torch import Tensor

from optigram.optimize.method import Ids
from optigram.shapes import Bool, Float, Int


class Best(NamedTuple):
    """The best text of each target within each of g bounds, `ids` [k g t] with `value` [k g]; on the device. Ids are -1 while unknown."""

    ids: Int[Tensor, "k g t"]
    value: Float[Tensor, "k g"]

    @classmethod
    def unknown(cls, texts: Int[Tensor, "k g t"]) -> "Best":
        """No text yet."""
        return cls(torch.full_like(texts, -1), torch.full_like(texts[..., 0], -torch.inf, dtype=torch.float32))

    def or_one_of(self, texts: Int[Tensor, "k c t"], values: Float[Tensor, "k g c"]) -> "Best":
        """The best of this and other texts, which have a value for each bound; ties go to the smaller ids."""
        others = texts[:, None].expand(-1, values.shape[1], -1, -1)
        ids = torch.cat([self.ids[:, :, None], others], dim=2)
        value = torch.cat([self.value[..., None], values.nan_to_num(nan=-torch.inf, posinf=-torch.inf, neginf=-torch.inf)], dim=2)
        best = value == value.amax(2, keepdim=True)
        for column in ids.unbind(-1):
            best &= column == column.masked_fill(~best, torch.iinfo(column.dtype).max).amin(2, keepdim=True)
        which = best.long().argmax(2, keepdim=True)
        return Best(ids.gather(2, which[..., None].expand(-1, -1, -1, ids.shape[3]))[:, :, 0], value.gather(2, which)[..., 0])


class Windows:
    """Where in the gradient's ranking each chain looks: `at` int64 [k c], in multiples of the number of candidates.

    Chains that start from the best text of their target each look at a window of their own, further and further down, until a
    better text is found. The longer a text, the more often it must be found before that pays more than a perturbation: once
    for two words, and once more for each further word.
    """

    def __init__(self, texts: Int[Tensor, "k c t"], sweeps: int, most: int) -> None:
        self.at = torch.zeros_like(texts[..., 0])
        self.taken, self.visits, self.done = self.at[:, :1].clone(), self.at[:, :1].clone(), self.at.clone()
        self.sweeps, self.most, self.needed = sweeps, most, texts.shape[2] - 1

    def deeper(self, better: Bool[Tensor, "k c"], ended: Bool[Tensor, "k c"], texts: Ids, best: Best, before: Best) -> Bool[Tensor, "k c"]:
        """Update after a swap; return which of the chains that `ended` look deeper instead of being perturbed."""
        new = (best.value > before.value).to(texts.device)
        self.taken, self.visits = self.taken.masked_fill(new, 0), self.visits.masked_fill(new, 0)
        self.at, self.done = self.at.masked_fill(better, 0), self.done.masked_fill(better, 0)
        there = ended & (texts == best.ids.to(texts.device)).all(-1)
        self.visits = self.visits + (there & (self.done == 0)).sum(1, keepdim=True)
        place = self.taken + there.cumsum(1)
        deeper = there & (self.done < self.sweeps) & (self.visits >= self.needed) & (place < self.most)
        self.taken = self.taken + deeper.sum(1, keepdim=True)
        self.at = torch.where(deeper, place, self.at.masked_fill(ended, 0))
        self.done = torch.where(deeper, self.done + 1, self.done.masked_fill(ended, 0))
        return deeper
