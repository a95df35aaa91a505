"""The n best texts per target, in a total order, so that the order of merging does not matter."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from optigram.shapes import Float, Int


@dataclass(frozen=True)
class TopK:
    """Texts by value, best first. Ties go to the smaller ids; a text appears once.

    The value is what the search maximises: the activation less penalties. `ids` int64 [k n t] and `value` float32 [k n] are
    on the CPU. Where fewer than n texts are known, ids are -1 and values -inf.
    """

    ids: Int[Tensor, "k n t"]
    value: Float[Tensor, "k n"]

    @classmethod
    def empty(cls, targets: int, n: int, length: int) -> "TopK":
        """No text yet, with room for `n` per target."""
        return cls(torch.full((targets, n, length), -1), torch.full((targets, n), -torch.inf))

    @classmethod
    def of(cls, ids: Int[Tensor, "k1 c t"], value: Float[Tensor, "k c"], n: int) -> "TopK":
        """The `n` best candidates: ids [k1 c t] (k1 is k, or 1 for texts shared by all targets), value [k c], on any device.

        NaN counts as -inf, and a text with the value -inf is never kept.
        """
        ids, value = ids.cpu(), value.cpu().nan_to_num(nan=-torch.inf, posinf=torch.inf, neginf=-torch.inf)
        if len(ids) == 1:  # shared texts may be very many: sort only those that can be kept
            once = np.unique(ids[0].numpy(), axis=0, return_index=True)[1]
            ids, value = ids[:, once], value[:, once]
            edge = value.topk(min(n, len(once))).values[:, -1:]
            among = int((value >= edge).sum(1).max())  # with all that tie with the last one, so that none is lost by chance
            value, chosen = value.topk(among)
            ids = ids[0][chosen]
        return cls.empty(len(value), n, ids.shape[2]).merge(cls(ids, value))

    def with_better(self, ids: Int[Tensor, "k1 c t"], value: Float[Tensor, "k c"]) -> "TopK":
        """The n best of these and of candidates on the CPU, shaped as for `of`; cheap where none of them is good enough."""
        enough = ((value >= self.value[:, -1:]) & (value > -torch.inf)).any(0)
        if not enough.any():
            return self
        return self.merge(TopK.of(ids[:, enough], value[:, enough], self.ids.shape[1]))

    def merge(self, other: "TopK") -> "TopK":
        """The n best of both: associative, commutative, idempotent."""
        ids = torch.cat([self.ids, other.ids], dim=1)
        value = torch.cat([self.value, other.value], dim=1)
        ids, value = _sorted(ids, value, texts_first=True)
        again = torch.zeros_like(value, dtype=torch.bool)
        again[:, 1:] = (ids[:, 1:] == ids[:, :-1]).all(-1)
        unknown = again | value.isneginf()
        ids, value = ids.masked_fill(unknown[..., None], -1), value.masked_fill(unknown, -torch.inf)
        ids, value = _sorted(ids, value, texts_first=False)
        n = self.ids.shape[1]
        return TopK(ids[:, :n], value[:, :n])


def _sorted(ids: Tensor, value: Tensor, texts_first: bool) -> tuple[Tensor, Tensor]:
    """Sort by (ids, value descending), or by (value descending, ids): stable sorts from the last key to the first."""
    keys = [value.neg()] if texts_first else []
    keys += [ids[..., column] for column in reversed(range(ids.shape[2]))]
    keys += [] if texts_first else [value.neg()]
    order = torch.arange(value.shape[1]).expand_as(value)
    for key in keys:
        order = order.gather(1, key.gather(1, order).argsort(dim=1, stable=True))
    return ids.gather(1, order[..., None].expand_as(ids)), value.gather(1, order)
