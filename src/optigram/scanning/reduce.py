"""Gathering: from the values of one part on one batch to candidates for the top_places, and to the statistics."""

import numpy as np
import torch
from torch import Tensor

from optigram.scanning.chunks import Batch
from optigram.scanning.statistics import BINS, EDGES
from optigram.scanning.top_places import Entries
from optigram.shapes import Bool, Float, Int


def candidates(
    values: Float[Tensor, "b s m"],
    peak: Float[Tensor, "b m"],
    edge: Float[Tensor, " m"],
    batch: Batch,
    start: int,
    most: int,
    sign: int,
) -> Entries:
    """The places whose score, `sign` times the value, is at least the edge: `most` of each chunk and target, the best, the first of equals.

    `peak` is the best score of each chunk. `start` is the number of the first target.
    """
    row, target = torch.nonzero((peak >= edge) & (peak > -torch.inf), as_tuple=True)
    scores = sign * values[row, :, target]
    if most == 1:
        # positions that do not count hold the value of the first that does, so what comes before that one means it
        first = torch.from_numpy(batch.counted.argmax(1)).to(scores.device)
        position = torch.maximum(scores.argmax(1), first[row])[:, None]
    else:
        scores = scores.masked_fill(~torch.from_numpy(batch.counted).to(scores.device)[row], -torch.inf)
        position = scores.sort(dim=1, descending=True, stable=True).indices[:, :most]
    score = scores.gather(1, position).flatten().cpu().numpy() + np.float32(0)  # no -0, which would be told from 0
    place, rows = position.flatten().cpu().numpy(), row.repeat_interleave(position.shape[1]).cpu().numpy()
    targets = target.repeat_interleave(position.shape[1]).cpu().numpy() + start
    kept = score > -np.inf
    place, rows = place[kept], rows[kept]
    return Entries(targets[kept], score[kept], batch.document[rows], batch.place[rows, place].astype(np.int32), batch.fold[rows, place])


def powers(values: Float[Tensor, "n m"], weight: Float[Tensor, " n"]) -> Float[np.ndarray, "m 4"]:
    """Weighted sums of the first four powers of values."""
    squares = values * values
    sums = [weight @ values, weight @ squares]
    sums.append(weight @ (values * squares))
    sums.append(weight @ squares.mul_(squares))
    return torch.stack(sums, dim=1).double().cpu().numpy()


def counts(values: Float[Tensor, "n m"]) -> Int[np.ndarray, "m bins"]:
    """How many values of each target are in each bin of the histogram."""
    bins = torch.bucketize(values.float(), torch.from_numpy(EDGES).to(values.device))
    bins += BINS * torch.arange(values.shape[1], device=values.device)
    return torch.bincount(bins.flatten(), minlength=BINS * values.shape[1]).view(-1, BINS).cpu().numpy()


def best_by_level(best: Float[np.ndarray, "m l"], peak: Float[Tensor, "b m"], level: Int[np.ndarray, " b"]) -> None:
    """Raise `best`, in place, to the peaks of documents of each level."""
    for one in np.unique(level):
        top = peak[torch.from_numpy(np.nonzero(level == one)[0]).to(peak.device)].amax(0).cpu().numpy()
        np.maximum(best[:, one], top, out=best[:, one])


def without_nan(values: Float[Tensor, "b s m"], counted: Bool[np.ndarray, "b s"]) -> tuple[Float[Tensor, "b s m"], int]:
    """Values with NaN, which is no activation, as -inf, and how many there were."""
    broken = values.isnan()
    return values.masked_fill(broken, -torch.inf), int(broken[torch.from_numpy(counted).to(values.device)].sum())
