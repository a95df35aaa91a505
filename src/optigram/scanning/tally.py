"""Statistics on the device: each batch adds to them there, and they are read back when the places of several batches are."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from optigram.scanning.chunks import Batch
from optigram.scanning.peaks import Peaks
from optigram.scanning.statistics import BINS, LEVELS, OCTAVES, THINNED, ZERO, Statistics
from optigram.shapes import Bool, Float, Int

CACHED = 1 << 16  # numbers
LARGE = 1e9  # the fourth power of what is larger does not fit into float32
LOWEST = 127 - 1 + min(OCTAVES)  # the exponent of the lowest power of two, as a float32 holds it, less 1
TINY = int(np.float32(-1e-38).view(np.int32))  # the bits of negative numbers that are as good as 0 are less
KINDS = 512  # signs and exponents of a float32
MOST, DRAWN = 64, 4  # batches that are read together, and how many times the places of the sample are drawn for it at most


class Tally:
    """Of m targets, since it was last read: sums of powers, histogram, the best of each level, and the drawn places."""

    def __init__(self, statistics: Statistics, sample: int, device: torch.device) -> None:
        self.sample, self.device = sample, device
        (self.bin_of,) = Batch.uploaded([_bin_of()], device)
        self._begin(statistics)

    def _begin(self, statistics: Statistics) -> None:
        self.statistics, m = statistics, len(statistics.best)
        self.histogram = torch.zeros(m, BINS + 1, dtype=torch.int64, device=self.device)
        self.best = torch.full((LEVELS, m), -torch.inf, device=self.device)
        self.broken = torch.zeros(m, dtype=torch.int64, device=self.device)
        self.broken_in: list[Bool[Tensor, " b"]] = []
        self.documents: list[np.ndarray] = []
        self.sums: list[Float[Tensor, "m 4"]] = []
        self.drawn: list[Float[Tensor, "r m"]] = []
        self.places: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
        self.nearest = statistics.priority

    def draw(self, batch: Batch) -> tuple[Int[np.ndarray, " n"], Int[np.ndarray, " r"]]:
        """The positions of a batch that the hash draws: those for the histogram, and those that may be in the random sample."""
        counted, chance, self.last = batch.counted.ravel(), batch.chance.ravel(), batch.document
        thinned = np.nonzero(counted & (chance % THINNED == 0))[0]
        rows = np.nonzero(counted & (chance <= Statistics.edge(self.nearest, self.sample)))[0]
        rows = rows[np.argsort(chance[rows], kind="stable")[: self.sample]]
        width = batch.counted.shape[1]
        self.places.append((chance[rows], batch.document[rows // width], batch.place.ravel()[rows]))
        self.nearest = np.sort(np.concatenate([self.nearest, chance[rows]]))[: self.sample]
        return thinned, rows

    def add(
        self,
        values: Sequence[Float[Tensor, "b s _"]],
        peaks: Peaks,
        level: Int[Tensor, " b"],
        counted: Bool[Tensor, "b s"],
        thinned: Int[Tensor, " t"],
        rows: Int[Tensor, " r"],
    ) -> None:
        """Add a batch: its activations by part, their peaks, the level of the document of each chunk, and which positions count."""
        high = peaks.score[:, : len(self.broken)].float().contiguous()
        self.best.scatter_reduce_(0, level[:, None].expand_as(high), high, "amax")
        flat = [part.flatten(0, 1) for part in values]
        large = peaks.largest > LARGE if peaks.largest is not None else high.device.type == "cuda"
        summed = flat
        if peaks.broken is not None:
            self._note_broken(peaks.broken, counted)
            summed = [part.masked_fill(bad.flatten(0, 1), 0) for part, bad in zip(flat, peaks.broken, strict=True)]
        weight = counted.flatten()
        self.sums.append(torch.cat([_powers(part.double() if large else part, weight) for part in summed]))
        if len(thinned):
            self._count(torch.cat([part.index_select(0, thinned) for part in flat], dim=1), peaks.broken is None)
        self.drawn.append(torch.cat([part.index_select(0, rows) for part in flat], dim=1))

    def _note_broken(self, broken: Sequence[Bool[Tensor, "b s _"]], counted: Bool[Tensor, "b s"]) -> None:
        """Count the places of the last batch drawn from that are not finite, and which chunks have some."""
        here = [bad & counted[..., None] for bad in broken]
        self.broken += torch.cat([bad.sum((0, 1)) for bad in here])
        self.broken_in.append(torch.stack([bad.any(2).any(1) for bad in here]).any(0))
        self.documents.append(self.last)

    @property
    def full(self) -> bool:
        """Whether it is time to read what was added."""
        return len(self.sums) >= MOST or sum(map(len, self.drawn)) > DRAWN * self.sample > 0

    def read(self) -> Statistics:
        """The statistics with all that was added; the tally starts anew."""
        seen = self.statistics
        if self.sums:
            for powers in torch.stack(self.sums).cpu().numpy():  # in the order of the batches, whatever waits together
                seen.sums += powers
            seen.histogram += self.histogram[:, :BINS].cpu().numpy()
            np.maximum(seen.best, self.best.T.cpu().numpy(), out=seen.best)
            if self.broken_in:
                seen.note_broken(self.broken.cpu().numpy(), np.concatenate(self.documents)[torch.cat(self.broken_in).cpu().numpy()])
            seen = self._sampled(seen)
        self._begin(seen)
        return seen

    def _sampled(self, seen: Statistics) -> Statistics:
        """Statistics with what was drawn and is still among the places of the smallest hashes."""
        priority, document, position = (np.concatenate(each) for each in zip(*self.places, strict=True))
        kept = np.flatnonzero(priority <= Statistics.edge(self.nearest, self.sample))
        rows = torch.cat(self.drawn)[Batch.uploaded([kept], self.device)[0]]
        return seen.with_places([(priority[kept], document[kept], position[kept])], rows.T.cpu().numpy(), self.sample)

    def _count(self, values: Float[Tensor, "n m"], finite: bool) -> None:
        """Count values in the bins of the histogram; `finite`: whether all are known to be."""
        bins = _bins(values.float(), self.bin_of, finite)
        bins += (BINS + 1) * torch.arange(values.shape[1], device=values.device)
        self.histogram.view(-1).scatter_add_(0, bins.flatten(), bins.new_ones(1).expand(bins.numel()))


def _bins(values: Float[Tensor, "n m"], bin_of: Int[Tensor, " kinds"], finite: bool) -> Int[Tensor, "n m"]:
    """The bin of each value in `EDGES`, and one more for what is not finite, if that may be; `bin_of` each sign and exponent.

    The edges are powers of two, so that a bin can be read off the sign and the exponent: a tenth of the time of a search.
    """
    bits = values.contiguous().view(torch.int32)
    kind = (bits + ~(bits >> 31)) >> 23  # of a positive power of two, what is equal to it belongs to the bin below
    kind.add_(bits < TINY, alpha=KINDS // 2 - 1).add_(KINDS // 2)  # what is as good as 0 is 0
    bins = bin_of.index_select(0, kind.flatten()).view_as(kind)
    return bins if finite else torch.where(values.isfinite(), bins, BINS)


def _bin_of() -> Int[np.ndarray, " kinds"]:
    """The bin of each sign and exponent, from the sign and the highest exponent on; that of 0 stands last of the negative ones."""
    exponent = np.arange(KINDS // 2)
    negative, positive = (ZERO - 1 + LOWEST) - exponent, exponent + (ZERO + 1 - LOWEST)
    negative = np.append(negative[:-1].clip(0, ZERO - 1), ZERO)
    return np.concatenate([negative, positive.clip(ZERO + 1, BINS - 1)]).astype(np.int64)


def _powers(values: Float[Tensor, "n m"], counted: Bool[Tensor, " n"]) -> Float[Tensor, "m 4"]:
    """Sums of the first four powers of the values that count, in float64; on a CPU of as many rows at a time as stay in its cache."""
    rows = max(CACHED // values.shape[1], 1) if values.device.type == "cpu" else len(values)
    sums = []
    for part, share in zip(values.split(rows), counted.to(values.dtype).split(rows), strict=True):
        squares = part * part
        sums.append(torch.stack([share @ part, share @ squares, share @ (part * squares), share @ squares.mul_(squares)], dim=1))
    return torch.stack(sums).sum(0).double()
