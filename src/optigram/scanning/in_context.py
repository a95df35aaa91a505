"""Scans places in context: chunks pass through the model once, and each batch updates the best places and the statistics of all targets.

Places and statistics stay on the device, and are read back after several batches: how often does not depend on the number of targets.
"""

from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Tensor

from optigram.models.base import Model, States
from optigram.scanning.activations import ActivationReader
from optigram.scanning.chunks import Batch, Chunk, Queue, uploaded
from optigram.scanning.forward import Forward
from optigram.scanning.held import Held
from optigram.scanning.plan import ScanSettings
from optigram.scanning.statistics import Statistics
from optigram.scanning.tally import Tally
from optigram.scanning.top_places import Candidates
from optigram.shapes import Bool, Float
from optigram.targets.target import Target

LARGE = 1e9  # the fourth power of what is larger does not fit into float32


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
    held: Held
    tally: Tally

    def __init__(self, model: Model, reader: ActivationReader, settings: ScanSettings, batch: int | None = None) -> None:
        self.reader, self.settings, self.targets = reader, settings, reader.targets
        self.forward = Forward(model, reader.sites)
        self.queue = Queue(settings.tokens, self.forward.spare, batch, settings.context)
        m = len(reader.targets)
        self.ends = {1: Candidates(m, settings), -1: Candidates(m, settings)}
        self.statistics = Statistics.empty(m)
        self.held = Held(self.ends, reader.starts, settings.per_document)
        self.tally = Tally(self.statistics, settings.sample, model.embedding.device)

    def take(self, chunks: Iterable[list[Chunk]]) -> Iterator[int]:
        """Run all chunks; yield, after each batch, how many of its tokens count."""
        with torch.inference_mode():
            for chunk in (chunk for some in chunks for chunk in some):
                if (full := self.queue.put(chunk)) is not None:
                    yield self._run(*full)
            for width, rest in self.queue.rest():
                yield self._run(width, rest)
            self.held.take()
            self.statistics = self.tally.read()
        for waiting in self.ends.values():
            waiting.settle()

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
<<<<<<< HEAD
        arrays = (level, batch.document, batch.first, batch.counted.ravel(), *batch.uncounted, *self.tally.draw(batch))
        level, document, first, counted, place, stand_in, thinned, rows = uploaded(arrays, self.tally.device)
        counted = counted.view(batch.counted.shape).bool()
        ends = (self._ends(part.values(states), counted, place, stand_in) for part in self.reader.parts)
        values, high, low, broken = zip(*ends, strict=True)
        highest, lowest = torch.cat(high, dim=1), torch.cat(low, dim=1)
        self.tally.add(list(values), highest, level, counted.flatten().float(), thinned, rows)
        if self.held.add(batch, chunks, values, (highest, lowest), (document, first, counted), any(broken)):
            self.held.take()
        if self.tally.full:
            self.statistics = self.tally.read()

    def _ends(
        self, values: Float[Tensor, "b s m"], counted: Bool[Tensor, "b s"], place: Tensor, stand_in: Tensor
    ) -> tuple[Float[Tensor, "b s m"], Float[Tensor, "b m"], Float[Tensor, "b m"], bool]:
        """The values, the highest and the lowest of each chunk, and whether there may be NaN, which becomes -inf and is never a lowest.

        Each position that does not count gets the value of the first that does, so that a maximum ignores it. This changes the states in
        place; nothing reads them afterwards. Without NaN one look is enough on a CPU; elsewhere to ask would be to wait for the device.
        """
        values = values.contiguous()
        if len(place):
            flat = values.flatten(0, 1)
            flat[place] = flat[stand_in]
        high = values.amax(1)
        if high.device.type == "cpu" and not high.isnan().any():
            return values, high, values.amin(1), False
        broken = values.isnan()
        self.tally.broken += (broken & counted[..., None]).sum()
        values = values.masked_fill(broken, -torch.inf)
        return values, values.amax(1), values.masked_fill(values.isneginf(), torch.inf).amin(1), True
=======
        found: dict[int, list[Entries]] = {1: [], -1: []}
        drawn = _Drawn(batch, self.statistics, self.settings.sample)
        for part, start in zip(self.reader.parts, self.reader.starts, strict=True):
            values = batch.evened(part.values(states))
            end = start + values.shape[2]
            high, low = values.amax(1), values.amin(1)
            broken = None if (high.isfinite() & low.isfinite()).all() else ~values.isfinite()
            if broken is not None:
                self._note_broken(broken, batch, start)
                high, low = values.masked_fill(broken, -torch.inf).amax(1), values.masked_fill(broken, torch.inf).amin(1)
            for sign, peak in ((1, high), (-1, -low)):
                edge = self.ends[sign].edge_on(values.device)[start:end]
                found[sign].append(_candidates(values, broken, peak, edge, batch, start, self.settings.per_document, sign))
            _raise_best(self.statistics.best[start:end], high, level)
            flat = values.flatten(0, 1)
            summed = flat if broken is None else flat.masked_fill(broken.flatten(0, 1), 0)
            large = float(torch.maximum(high, -low).max()) > LARGE
            self.statistics.sums[start:end] += _powers(summed.double() if large else summed, drawn.weight(values.device))
            drawn.look(flat, start)
        for sign, waiting in self.ends.items():
            waiting.add(Entries.joined(found[sign]), chunks)
        self.statistics = drawn.kept()

    def _note_broken(self, broken: Bool[Tensor, "b s m"], batch: Batch, start: int) -> None:
        """Count the places that are not finite, and note their documents."""
        here = (broken & torch.from_numpy(batch.counted).to(broken.device)[..., None]).cpu().numpy()
        self.statistics.note_broken(here.sum((0, 1)), batch.document[here.any((1, 2))], start)


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
    broken: Bool[Tensor, "b s m"] | None,
    peak: Float[Tensor, "b m"],
    edge: Float[Tensor, " m"],
    batch: Batch,
    start: int,
    most: int,
    sign: int,
) -> Entries:
    """The places whose score, `sign` times the value, is at least the edge: the best `most` of each chunk and target, none `broken`.

    Among equal scores the first place is the best. `peak` is the best score of each chunk. `start` is the number of the first target.
    """
    row, target = torch.nonzero((peak >= edge) & (peak > -torch.inf), as_tuple=True)
    scores = sign * values[row, :, target]
    if broken is not None:
        scores = scores.masked_fill(broken[row, :, target], -torch.inf)
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
    weight = weight.to(values.dtype)
    squares = values * values
    sums = [weight @ values, weight @ squares]
    sums.append(weight @ (values * squares))
    sums.append(weight @ squares.mul_(squares))
    return torch.stack(sums, dim=1).double().cpu().numpy()


def _counts(values: Float[Tensor, "n m"]) -> Int[np.ndarray, "m bins"]:
    """How many values of each target are in each bin of the histogram."""
    bins = torch.bucketize(values.float(), torch.from_numpy(EDGES).to(values.device))
    bins = torch.where(values.isfinite(), bins, BINS)  # a bin more, for what is not finite
    bins += (BINS + 1) * torch.arange(values.shape[1], device=values.device)
    return torch.bincount(bins.flatten(), minlength=(BINS + 1) * values.shape[1]).view(-1, BINS + 1)[:, :BINS].cpu().numpy()


def _raise_best(best: Float[np.ndarray, "m l"], peak: Float[Tensor, "b m"], level: Int[np.ndarray, " b"]) -> None:
    """Raise `best`, in place, to the peaks of documents of each level."""
    for one in np.unique(level):
        top = peak[torch.from_numpy(np.nonzero(level == one)[0]).to(peak.device)].amax(0).cpu().numpy()
        np.maximum(best[:, one], top, out=best[:, one])
>>>>>>> input
