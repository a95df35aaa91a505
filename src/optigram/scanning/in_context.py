"""Scans places in context: chunks pass through the model once, and each batch updates the best places and the statistics of all targets."""

import dataclasses
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from optigram.models.base import Model, States
from optigram.scanning.activations import ActivationReader
from optigram.scanning.chunks import Batch, Chunk, Queue
from optigram.scanning.forward import Forward
from optigram.scanning.plan import ScanSettings
from optigram.scanning.statistics import BINS, EDGES, THINNED, Statistics
from optigram.scanning.top_places import Candidates, Entries
from optigram.shapes import Bool, Float, Int
from optigram.targets.target import Target


class InContextScan:
    """Takes chunks, and holds `ends` (the best places: 1 the highest, -1 the lowest) and `statistics`.

    At most `batch` chunks wait for one another.
    """

    reader: ActivationReader
    settings: ScanSettings
    targets: tuple[Target, ...]
    forward: Forward
    queue: Queue
    ends: dict[int, Candidates]
    statistics: Statistics

    def __init__(self, model: Model, reader: ActivationReader, settings: ScanSettings, batch: int | None = None) -> None:
        self.reader, self.settings, self.targets = reader, settings, reader.targets
        self.forward = Forward(model, reader.sites)
        self.queue = Queue(settings.tokens, self.forward.spare, batch, settings.context)
        m = len(reader.targets)
        self.ends = {1: Candidates(m, settings), -1: Candidates(m, settings)}
        self.statistics = Statistics.empty(m)

    def take(self, chunks: Iterable[list[Chunk]]) -> Iterator[int]:
        """Run all chunks; yield, after each batch, how many of its tokens count."""
        with torch.inference_mode():
            for chunk in (chunk for some in chunks for chunk in some):
                if (full := self.queue.put(chunk)) is not None:
                    yield self._run(*full)
            for width, rest in self.queue.rest():
                yield self._run(width, rest)
        for waiting in self.ends.values():
            waiting.settle()
        self.statistics = self.statistics.sampled(self.settings.sample)

    def _run(self, width: int, chunks: list[Chunk]) -> int:
        taken = 0
        for part, states in self.forward.run(chunks, width, self.queue.rows(width)):
            batch = Batch.of(part, width, self.settings.fold, self.settings.seed)
            self._update(batch, states, part)
            taken += int(batch.tokens.sum())
        return taken

    def _update(self, batch: Batch, states: States, chunks: Sequence[Chunk]) -> None:
        level = self.statistics.note_tokens(batch.document, batch.tokens, self.settings.seed)
        self.statistics.count += int(batch.tokens.sum())
        found: dict[int, list[Entries]] = {1: [], -1: []}
        drawn = _Drawn(batch, self.statistics, self.settings.sample)
        for part, start in zip(self.reader.parts, self.reader.starts, strict=True):
            values = batch.evened(part.values(states))
            end = start + values.shape[2]
            high, low = values.amax(1), values.amin(1)
            if high.isnan().any():
                values, broken = _without_nan(values, batch.counted)
                self.statistics.broken += broken
                high, low = values.amax(1), values.masked_fill(values.isneginf(), torch.inf).amin(1)
            for sign, peak in ((1, high), (-1, -low)):
                edge = self.ends[sign].edge_on(values.device)[start:end]
                found[sign].append(_candidates(values, peak, edge, batch, start, self.settings.per_document, sign))
            _raise_best(self.statistics.best[start:end], high, level)
            flat = values.flatten(0, 1)
            self.statistics.sums[start:end] += _powers(flat, drawn.weight(values.device))
            drawn.look(flat, start)
        for sign, waiting in self.ends.items():
            waiting.add(Entries.joined(found[sign]), chunks)
        self.statistics = drawn.kept()


class _Drawn:
    """The positions of a batch that the hash draws: those in the histogram, and those that may be in the random sample."""

    def __init__(self, batch: Batch, statistics: Statistics, sample: int) -> None:
        self.statistics, self.sample = statistics, sample
        self.counted = batch.counted.ravel()
        chance = batch.chance.ravel()
        self.thinned = np.nonzero(self.counted & (chance % THINNED == 0))[0]
        edge = statistics.priority[-1] if len(statistics.priority) >= sample > 0 else np.iinfo(np.int64).max if sample else -1
        rows = np.nonzero(self.counted & (chance <= edge))[0]
        self.rows = rows[np.argsort(chance[rows], kind="stable")[:sample]]
        width = batch.counted.shape[1]
        self.places = chance[self.rows], batch.document[self.rows // width], batch.place.ravel()[self.rows]
        self.values = np.empty((statistics.best.shape[0], len(self.rows)), np.float32)

    def weight(self, device: torch.device) -> Tensor:
        """1 for positions that count, else 0."""
        return torch.from_numpy(self.counted).to(device, torch.float32)

    def look(self, flat: Tensor, start: int) -> None:
        """Take the drawn ones of the values [n m] of a part."""
        end = start + flat.shape[1]
        if len(self.thinned):
            self.statistics.histogram[start:end] += _counts(flat[torch.from_numpy(self.thinned).to(flat.device)])
        if len(self.rows):
            self.values[start:end] = flat[torch.from_numpy(self.rows).to(flat.device)].T.cpu().numpy()

    def kept(self) -> Statistics:
        """The statistics with what was drawn."""
        if not len(self.rows):
            return self.statistics
        seen = self.statistics
        priority, document, position = (
            np.concatenate(pair) for pair in zip((seen.priority, seen.document, seen.position), self.places, strict=True)
        )
        values = np.concatenate([seen.values, self.values], axis=1)
        whole = dataclasses.replace(seen, priority=priority, document=document, position=position, values=values)
        return whole.sampled(self.sample)


def _candidates(
    values: Float[Tensor, "b s m"],
    peak: Float[Tensor, "b m"],
    edge: Float[Tensor, " m"],
    batch: Batch,
    start: int,
    most: int,
    sign: int,
) -> Entries:
    """The places whose score, `sign` times the value, is at least the edge: the best `most` of each chunk and target.

    Among equal scores the first place is the best. `peak` is the best score of each chunk. `start` is the number of the first target.
    """
    row, target = torch.nonzero((peak >= edge) & (peak > -torch.inf), as_tuple=True)
    scores = sign * values[row, :, target]
    if most == 1:
        # positions that do not count hold the value of the first that does, so what comes before that one stands for it
        first = torch.from_numpy(batch.counted.argmax(1)).to(scores.device)
        position = torch.maximum(scores.argmax(1), first[row])[:, None]
    else:
        scores = scores.masked_fill(~torch.from_numpy(batch.counted).to(scores.device)[row], -torch.inf)
        position = scores.sort(dim=1, descending=True, stable=True).indices[:, :most]
    score = scores.gather(1, position).flatten().cpu().numpy() + np.float32(0)  # no -0, which would compare as another score
    place, rows = position.flatten().cpu().numpy(), row.repeat_interleave(position.shape[1]).cpu().numpy()
    targets = target.repeat_interleave(position.shape[1]).cpu().numpy() + start
    kept = score > -np.inf
    place, rows = place[kept], rows[kept]
    return Entries(targets[kept], score[kept], batch.document[rows], batch.place[rows, place].astype(np.int32), batch.fold[rows, place])


def _powers(values: Float[Tensor, "n m"], weight: Float[Tensor, " n"]) -> Float[np.ndarray, "m 4"]:
    """Weighted sums of the first four powers of values."""
    squares = values * values
    sums = [weight @ values, weight @ squares]
    sums.append(weight @ (values * squares))
    sums.append(weight @ squares.mul_(squares))
    return torch.stack(sums, dim=1).double().cpu().numpy()


def _counts(values: Float[Tensor, "n m"]) -> Int[np.ndarray, "m bins"]:
    """How many values of each target are in each bin of the histogram."""
    bins = torch.bucketize(values.float(), torch.from_numpy(EDGES).to(values.device))
    bins += BINS * torch.arange(values.shape[1], device=values.device)
    return torch.bincount(bins.flatten(), minlength=BINS * values.shape[1]).view(-1, BINS).cpu().numpy()


def _raise_best(best: Float[np.ndarray, "m l"], peak: Float[Tensor, "b m"], level: Int[np.ndarray, " b"]) -> None:
    """Raise `best`, in place, to the peaks of documents of each level."""
    for one in np.unique(level):
        top = peak[torch.from_numpy(np.nonzero(level == one)[0]).to(peak.device)].amax(0).cpu().numpy()
        np.maximum(best[:, one], top, out=best[:, one])


def _without_nan(values: Float[Tensor, "b s m"], counted: Bool[np.ndarray, "b s"]) -> tuple[Float[Tensor, "b s m"], int]:
    """Values with NaN replaced by -inf, and how many NaN there were."""
    broken = values.isnan()
    return values.masked_fill(broken, -torch.inf), int(broken[torch.from_numpy(counted).to(values.device)].sum())
