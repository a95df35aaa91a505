"""Scans places in context: chunks pass through the model once, and each batch updates the best places and the statistics of all targets.

Places and statistics stay on the device, and are read back after several batches: how often does not depend on the number of targets.
"""

from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Tensor

from optigram.models.base import Model, States
from optigram.scanning.activations import ActivationReader
from optigram.scanning.chunks import Batch, Chunk, Queue
from optigram.scanning.forward import Forward
from optigram.scanning.held import Held
from optigram.scanning.peaks import Peaks
from optigram.scanning.plan import ScanSettings
from optigram.scanning.statistics import Statistics
from optigram.scanning.tally import Tally
from optigram.scanning.top_places import Candidates
from optigram.shapes import Float, Int
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
        arrays = (level, batch.first, batch.counted.ravel(), *batch.uncounted, *self.tally.draw(batch))
        level, first, counted, place, stand_in, thinned, rows = Batch.uploaded(arrays, self.tally.device)
        counted = counted.view(batch.counted.shape).bool()
        values = [self._filled(part.values(states), place, stand_in) for part in self.reader.parts]
        peaks = Peaks.of(values, first, self.settings.per_document > 1)
        self.tally.add(values, peaks, level, counted, thinned, rows)
        if self.held.add(batch, chunks, values, peaks, (first, counted)):
            self.held.take()
        if self.tally.full:
            self.statistics = self.tally.read()

    @staticmethod
    def _filled(values: Float[Tensor, "b s m"], place: Int[Tensor, " u"], stand_in: Int[Tensor, " u"]) -> Float[Tensor, "b s m"]:
        """The values, where each position that does not count gets that of the first which does, so that a maximum ignores it.

        This changes the states in place; nothing reads them afterwards.
        """
        values = values.contiguous()
        if len(place):
            flat = values.flatten(0, 1)
            flat.index_copy_(0, place, flat.index_select(0, stand_in))
        return values
