"""The front: of all texts of a target that were judged, those that no other beats in activation and in surprisal at once."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from optigram.shapes import Float, Int

WIDTH, CELLS = 0.25, 64  # nats per token of a cell of surprisal, and how many there are, the last one without an end
PENALTIES = np.logspace(-3, 3, 121)  # prices of a nat at which the best text is kept


@dataclass(frozen=True)
class ParetoFront:
    """Texts by activation, best first, each less surprising than the one before it; of equals the smaller ids stand.

    Kept is the best in each cell of surprisal, and the best of all at each price of a nat: so no more than `CELLS` +
    `len(PENALTIES)` texts of a target, with the corners of the hull among them, and joining fronts in any order gives the same.
    `ids` int64 [k n t]; `activation`, `surprisal` float32 [k n]: -1, -inf and inf where a target has fewer than n.
    """

    ids: Int[Tensor, "k n t"]
    activation: Float[Tensor, "k n"]
    surprisal: Float[Tensor, "k n"]

    @classmethod
    def empty(cls, targets: int, length: int) -> "ParetoFront":
        """A front without texts."""
        nothing = torch.empty(targets, 0)
        return cls(torch.empty(targets, 0, length, dtype=torch.int64), nothing, nothing)

    @classmethod
    def of(cls, ids: Int[Tensor, "k1 c t"], activation: Float[Tensor, "k c"], surprisal: Float[Tensor, "k c"]) -> "ParetoFront":
        """The front of candidates (k1 is k, or 1 for texts shared by all targets). A NaN is worth nothing."""
        activation = activation.nan_to_num(nan=-torch.inf, posinf=torch.inf, neginf=-torch.inf)
        surprisal = surprisal.nan_to_num(nan=torch.inf, posinf=torch.inf)
        activation = activation.masked_fill(surprisal.isposinf(), -torch.inf)
        owned = ids.expand(len(activation), -1, -1)
        kept = [_kept(*(part.numpy() for part in row)) for row in zip(owned, activation, surprisal, strict=True)]
        most = max(map(len, kept), default=0)
        front = cls(
            *(torch.full((len(kept), most, *shape), fill) for shape, fill in ((ids.shape[2:], -1), ((), -torch.inf), ((), torch.inf)))
        )
        for row, chosen in enumerate(kept):
            for shelf, values in ((front.ids, owned), (front.activation, activation), (front.surprisal, surprisal)):
                shelf[row, : len(chosen)] = values[row, torch.from_numpy(chosen)]
        return front

    def merge(self, other: "ParetoFront") -> "ParetoFront":
        """The front of both: associative, commutative, idempotent."""
        pairs = ((self.ids, other.ids), (self.activation, other.activation), (self.surprisal, other.surprisal))
        return ParetoFront.of(*(torch.cat(pair, dim=1) for pair in pairs))


def non_dominated(ids: np.ndarray, activation: np.ndarray, surprisal: np.ndarray) -> np.ndarray:
    """The numbers of the texts [n t] that no other beats, the least surprising first; those at -inf are none."""
    order = np.lexsort((*ids.T[::-1], -activation, surprisal))
    before = np.maximum.accumulate(np.concatenate([[-np.inf], activation[order]]))[:-1]
    return order[activation[order] > before]


def _kept(ids: np.ndarray, activation: np.ndarray, surprisal: np.ndarray) -> np.ndarray:
    """The numbers of the texts that stay, best activation first."""
    order = non_dominated(ids, activation, surprisal)[::-1]
    if not len(order):
        return order
    nats, values = surprisal[order].astype(np.float64), activation[order].astype(np.float64)
    cells = np.minimum(nats // WIDTH, CELLS - 1)
    first_of_cell = np.concatenate([[True], cells[1:] != cells[:-1]])
    corners = (values - PENALTIES[:, None] * nats).argmax(axis=1)  # of equals the first, which has the most activation
    first_of_cell[corners] = True
    return order[first_of_cell].copy()
