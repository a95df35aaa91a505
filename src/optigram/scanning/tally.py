"""Statistics on the device: each batch adds to them there, and they are read back when the places of several batches are."""

import numpy as np
import torch
from torch import Tensor

from optigram.scanning.chunks import Batch
from optigram.scanning.statistics import BINS, LEVELS, OCTAVES, THINNED, ZERO, Statistics
from optigram.shapes import Float, Int

CACHED = 1 << 16  # numbers
LOWEST = 127 - 1 + min(OCTAVES)  # the exponent of the lowest power of two, as a float32 holds it, less 1
TINY = int(np.float32(1e-38).view(np.int32))  # the bits of what is as good as 0
MOST, DRAWN = 64, 4  # batches that are read together, and how many times the places of the sample are drawn for it at most


class Tally:
    """Of m targets, since it was last read: sums of powers, histogram, the best of each level, and the drawn places."""

    def __init__(self, statistics: Statistics, sample: int, device: torch.device) -> None:
        self.sample, self.device = sample, device
        self._begin(statistics)

    def _begin(self, statistics: Statistics) -> None:
        self.statistics, m = statistics, len(statistics.best)
        self.histogram = torch.zeros(m, BINS, dtype=torch.int64, device=self.device)
        self.best = torch.full((LEVELS, m), -torch.inf, device=self.device)
        self.broken = torch.zeros((), dtype=torch.int64, device=self.device)
        self.sums: list[Float[Tensor, "m 4"]] = []
        self.drawn: list[Float[Tensor, "r m"]] = []
        self.places: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
        self.nearest = statistics.priority

    def draw(self, batch: Batch) -> tuple[Int[np.ndarray, " n"], Int[np.ndarray, " r"]]:
        """The positions of a batch that the hash draws: those for the histogram, and those that may be in the random sample."""
        counted, chance = batch.counted.ravel(), batch.chance.ravel()
        thinned = np.nonzero(counted & (chance % THINNED == 0))[0]
        rows = np.nonzero(counted & (chance <= Statistics.edge(self.nearest, self.sample)))[0]
        rows = rows[np.argsort(chance[rows], kind="stable")[: self.sample]]
        width = batch.counted.shape[1]
        self.places.append((chance[rows], batch.document[rows // width], batch.place.ravel()[rows]))
        self.nearest = np.sort(np.concatenate([self.nearest, chance[rows]]))[: self.sample]
        return thinned, rows

    def add(
        self,
        values: list[Float[Tensor, "b s _"]],
        high: Float[Tensor, "b m"],
        level: Int[Tensor, " b"],
        weight: Float[Tensor, " n"],
        thinned: Int[Tensor, " t"],
        rows: Int[Tensor, " r"],
    ) -> None:
        """Add a batch: its activations by part, the highest of each chunk, the level of its document, and 1 for positions that count."""
        self.best.scatter_reduce_(0, level[:, None].expand_as(high), high.float(), "amax")
        flat = [part.flatten(0, 1) for part in values]
        self.sums.append(torch.cat([_powers(part, weight) for part in flat]))
        if len(thinned):
            self._count(torch.cat([part[thinned] for part in flat], dim=1))
        self.drawn.append(torch.cat([part[rows] for part in flat], dim=1))

    @property
    def full(self) -> bool:
        """Whether it is time to read what was added."""
        return len(self.sums) >= MOST or sum(map(len, self.drawn)) > DRAWN * self.sample > 0

    def read(self) -> Statistics:
        """The statistics with all that was added; the tally starts anew."""
        seen = self.statistics
        if self.sums:
            for powers in torch.stack(self.sums).cpu().double().numpy():  # in the order of the batches, whatever waits together
                seen.sums += powers
            seen.histogram += self.histogram.cpu().numpy()
            np.maximum(seen.best, self.best.T.cpu().numpy(), out=seen.best)
            seen.broken += int(self.broken)
            seen = seen.with_places(self.places, torch.cat(self.drawn).T.cpu().numpy(), self.sample)
        self._begin(seen)
        return seen

    def _count(self, values: Float[Tensor, "n m"]) -> None:
        """Count values in the bins of the histogram."""
        bins = _bins(values.float()).long() + BINS * torch.arange(values.shape[1], device=values.device)
        self.histogram.view(-1).scatter_add_(0, bins.flatten(), torch.ones_like(bins).flatten())


def _bins(values: Float[Tensor, "n m"]) -> Int[Tensor, "n m"]:
    """The bin of each value in `EDGES`, which are powers of two and so can be read off the exponent: a tenth of the time of a search."""
    bits = values.contiguous().view(torch.int32)
    size = bits & 0x7FFFFFFF
    above = ((size - 1) >> 23) + (ZERO + 1 - LOWEST)  # of a power of two, what is equal to it belongs to the bin below
    below = (ZERO - 1 + LOWEST) - (size >> 23)
    above, below = above.clamp(ZERO + 1, BINS - 1), below.clamp(0, ZERO - 1)
    return torch.where(bits > 0, above, torch.where(size < TINY, ZERO, below))


def _powers(values: Float[Tensor, "n m"], weight: Float[Tensor, " n"]) -> Float[Tensor, "m 4"]:
    """Weighted sums of the first four powers of values; on a CPU of as many rows at a time as stay in its cache."""
    rows = max(CACHED // values.shape[1], 1) if values.device.type == "cpu" else len(values)
    sums = []
    for part, share in zip(values.split(rows), weight.split(rows), strict=True):
        squares = part * part
        sums.append(torch.stack([share @ part, share @ squares, share @ (part * squares), share @ squares.mul_(squares)], dim=1))
    return torch.stack(sums).sum(0)
