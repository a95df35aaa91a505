"""The Pareto front of a target: the scored texts that no other text beats in both activation and surprisal."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from optigram.shapes import Float, Int

CELL_WIDTH, CELLS = 0.25, 64  # nats per token of a surprisal cell, and the number of cells; the last one has no upper edge
PENALTIES = np.logspace(-3, 3, 121)  # penalties per nat at which the best text is kept


@dataclass(frozen=True)
class ParetoFront:
    """Texts by activation, best first, each less surprising than the one before. Ties go to the smaller ids.

    It keeps the best text of each cell of surprisal and the best at each penalty per nat: at most `CELLS` +
    `len(PENALTIES)` texts per target, the corners of the convex hull among them. The order of merging does not matter.
    `ids` int64 [k n t]; `activation`, `surprisal` float32 [k n]; all on the CPU. Where a target has fewer than n texts they
    are -1, -inf and inf.
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
        """The front of candidates on any device (k1 is k, or 1 for texts shared by all targets). A text with a NaN is not kept."""
        ids, activation, surprisal = ids.cpu(), activation.cpu(), surprisal.cpu()
        activation = activation.nan_to_num(nan=-torch.inf, posinf=torch.inf, neginf=-torch.inf)
        surprisal = surprisal.nan_to_num(nan=torch.inf, posinf=torch.inf)
        activation = activation.masked_fill(surprisal.isposinf(), -torch.inf)
        owned = ids.expand(len(activation), -1, -1)
        kept = [_kept(*(part.numpy() for part in row)) for row in zip(owned, activation, surprisal, strict=True)]
        n = max(map(len, kept), default=0)
        front = cls(*(torch.full((len(kept), n, *shape), fill) for shape, fill in ((ids.shape[2:], -1), ((), -torch.inf), ((), torch.inf))))
        for row, chosen in enumerate(kept):
            for part, values in ((front.ids, owned), (front.activation, activation), (front.surprisal, surprisal)):
                part[row, : len(chosen)] = values[row, torch.from_numpy(chosen)]
        return front

    def merge(self, other: "ParetoFront") -> "ParetoFront":
        """The front of both: associative, commutative, idempotent."""
        pairs = ((self.ids, other.ids), (self.activation, other.activation), (self.surprisal, other.surprisal))
        return ParetoFront.of(*(torch.cat(pair, dim=1) for pair in pairs))

    @staticmethod
    def non_dominated(ids: np.ndarray, activation: np.ndarray, surprisal: np.ndarray) -> np.ndarray:
        """Indices of the texts [n t] that no other text beats, best activation first; never one with the activation -inf."""
        order = np.lexsort((*ids.T[::-1], -activation, surprisal))
        before = np.maximum.accumulate(np.concatenate([[-np.inf], activation[order]]))[:-1]
        return order[activation[order] > before][::-1].copy()


def _kept(ids: np.ndarray, activation: np.ndarray, surprisal: np.ndarray) -> np.ndarray:
    """Indices of the texts to keep, best activation first."""
    order = ParetoFront.non_dominated(ids, activation, surprisal)
    if not len(order):
        return order
    nats, values = surprisal[order].astype(np.float64), activation[order].astype(np.float64)
    cells = np.minimum(nats // CELL_WIDTH, CELLS - 1)
    keep = np.concatenate([[True], cells[1:] != cells[:-1]])
    corners = (values - PENALTIES[:, None] * nats).argmax(
        axis=1
    )  # of equal values argmax takes the first, which has the highest activation
    keep[corners] = True
    return order[keep]
