"""The scan_pass: documents through the model once, and at every batch the best places and the statistics of all targets at once."""

import dataclasses
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from optigram.models.base import Model, States
from optigram.scanning.activations import ActivationReader
from optigram.scanning.chunks import Batch, Chunk, Queue, evened
from optigram.scanning.forward import Forward
from optigram.scanning.plan import ScanSettings
from optigram.scanning.reduce import best_by_level, candidates, counts, powers, without_nan
from optigram.scanning.statistics import THINNED, Statistics
from optigram.scanning.top_places import Candidates, Entries, joined_entries


class InContextScan:
    """Takes chunks, and holds what is known after them. `batch` is how many chunks wait for one another, at the most."""

    def __init__(self, model: Model, reader: ActivationReader, settings: ScanSettings, batch: int | None = None):
        self.reader, self.settings, self.targets = reader, settings, reader.targets
        self.forward = Forward(model, reader.sites)
        self.queue = Queue(settings.tokens, self.forward.spare, batch)
        m = len(reader.targets)
        self.ends = {1: Candidates(m, settings), -1: Candidates(m, settings)}
        self.statistics = Statistics.empty(m)

    def take(self, chunks: Iterable[list[Chunk]]) -> Iterator[int]:
        """Run all chunks; yield, after each batch, how many tokens it had."""
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
            self._tell(batch, states, part)
            taken += int(batch.tokens.sum())
        return taken

    def _tell(self, batch: Batch, states: States, chunks: Sequence[Chunk]) -> None:
        level = self.statistics.note_tokens(batch.document, batch.tokens, self.settings.seed)
        self.statistics.count += int(batch.tokens.sum())
        found: dict[int, list[Entries]] = {1: [], -1: []}
        drawn = _Drawn(batch, self.statistics, self.settings.sample)
        for part, start in zip(self.reader.parts, self.reader.starts, strict=True):
            values = evened(part.values(states), batch.counted)
            end = start + values.shape[2]
            high, low = values.amax(1), values.amin(1)
            if high.isnan().any():
                values, broken = without_nan(values, batch.counted)
                self.statistics.broken += broken
                high, low = values.amax(1), values.masked_fill(values.isneginf(), torch.inf).amin(1)
            for sign, peak in ((1, high), (-1, -low)):
                edge = self.ends[sign].edge_on(values.device)[start:end]
                found[sign].append(candidates(values, peak, edge, batch, start, self.settings.per_document, sign))
            best_by_level(self.statistics.best[start:end], high, level)
            flat = values.flatten(0, 1)
            self.statistics.sums[start:end] += powers(flat, drawn.weight(values.device))
            drawn.look(flat, start)
        for sign, waiting in self.ends.items():
            waiting.add(joined_entries(found[sign]), chunks)
        self.statistics = drawn.kept()


class _Drawn:
    """The positions of a batch that chance has drawn: those in the histogram, and those that may be in the random sample."""

    def __init__(self, batch: Batch, statistics: Statistics, sample: int):
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
        """Take what is wanted of the values [n m] of a part."""
        end = start + flat.shape[1]
        if len(self.thinned):
            self.statistics.histogram[start:end] += counts(flat[torch.from_numpy(self.thinned).to(flat.device)])
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
