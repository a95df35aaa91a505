"""The shelf: the n best texts of each target, in a total order, so that joining shelves in any order gives the same."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from optigram.shapes import Float, Int


@dataclass(frozen=True)
class TopK:
    """Texts by activation, or whatever else the judge ranks them by, best first; of equals the smaller ids come first; a text stands once.

    `ids` int64 [k n t]; `activation` float32 [k n]. Where fewer than n texts are known, ids are -1, activations -inf.
    """

    ids: Int[Tensor, "k n t"]
    activation: Float[Tensor, "k n"]

    @classmethod
    def empty(cls, targets: int, most: int, length: int) -> "TopK":
        """A shelf with room for `most` texts of each target."""
        return cls(torch.full((targets, most, length), -1), torch.full((targets, most), -torch.inf))

    @classmethod
    def of(cls, ids: Int[Tensor, "k1 c t"], activation: Float[Tensor, "k c"], most: int) -> "TopK":
        """The `most` best of candidates: ids [k1 c t] (k1 is k, or 1 for texts shared by all targets), activation [k c].

        A NaN is no activation: it counts as -inf.
        """
        activation = activation.nan_to_num(nan=-torch.inf, posinf=torch.inf, neginf=-torch.inf)
        if len(ids) == 1:  # shared texts may be very many: sort only those that can be kept
            once = np.unique(ids[0].numpy(), axis=0, return_index=True)[1]
            ids, activation = ids[:, once], activation[:, once]
            edge = activation.topk(min(most, len(once))).values[:, -1:]
            among = int((activation >= edge).sum(1).max())  # with all that equal the last one, so that none is lost by chance
            activation, chosen = activation.topk(among)
            ids = ids[0][chosen]
        return cls.empty(len(activation), most, ids.shape[2]).merge(cls(ids, activation))

    def merge(self, other: "TopK") -> "TopK":
        """The n best of both: associative, commutative, idempotent."""
        ids = torch.cat([self.ids, other.ids], dim=1)
        activation = torch.cat([self.activation, other.activation], dim=1)
        ids, activation = _sorted(ids, activation, texts_first=True)
        again = torch.zeros_like(activation, dtype=torch.bool)
        again[:, 1:] = (ids[:, 1:] == ids[:, :-1]).all(-1)
        unknown = again | activation.isneginf()
        ids, activation = ids.masked_fill(unknown[..., None], -1), activation.masked_fill(unknown, -torch.inf)
        ids, activation = _sorted(ids, activation, texts_first=False)
        n = self.ids.shape[1]
        return TopK(ids[:, :n], activation[:, :n])


def _sorted(ids: Tensor, activation: Tensor, texts_first: bool) -> tuple[Tensor, Tensor]:
    """Sort by (ids, activation downwards), or by (activation downwards, ids): stable sorts from the last key to the first."""
    keys = [activation.neg()] if texts_first else []
    keys += [ids[..., column] for column in reversed(range(ids.shape[2]))]
    keys += [] if texts_first else [activation.neg()]
    order = torch.arange(activation.shape[1]).expand_as(activation)
    for key in keys:
        order = order.gather(1, key.gather(1, order).argsort(dim=1, stable=True))
    return ids.gather(1, order[..., None].expand_as(ids)), activation.gather(1, order)
