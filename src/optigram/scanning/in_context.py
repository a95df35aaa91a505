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
from optigram.scanning.plan import ScanSettings
from optigram.scanning.statistics import Statistics
from optigram.scanning.tally import Tally
from optigram.scanning.top_places import Candidates
from optigram.shapes import Bool, Float
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
        arrays = (level, batch.document, batch.first, batch.counted.ravel(), *batch.uncounted, *self.tally.draw(batch))
        level, document, first, counted, place, stand_in, thinned, rows = Batch.uploaded(arrays, self.tally.device)
        counted = counted.view(batch.counted.shape).bool()
        ends = (self._ends(part.values(states), counted, place, stand_in) for part in self.reader.parts)
        values, high, low, broken = zip(*ends, strict=True)
        highest, lowest = torch.cat(high, dim=1), torch.cat(low, dim=1)
        self.tally.add(values, broken, (highest, lowest), level, counted, thinned, rows)
        whole = all(part is None for part in broken)
        if self.held.add(batch, chunks, values, (highest, lowest), (document, first, counted), not whole):
            self.held.take()
        if self.tally.full:
            self.statistics = self.tally.read()

    def _ends(
        self, values: Float[Tensor, "b s m"], counted: Bool[Tensor, "b s"], place: Tensor, stand_in: Tensor
    ) -> tuple[Float[Tensor, "b s m"], Float[Tensor, "b m"], Float[Tensor, "b m"], Bool[Tensor, "b s m"] | None]:
        """The values, the highest and the lowest finite one of each chunk, and which are not finite (None: all are).

        Each position that does not count gets the value of the first that does, so that a maximum ignores it. This changes the states in
        place; nothing reads them afterwards. On a CPU it asks first whether all are finite; elsewhere it would have to wait.
        """
        values = values.contiguous()
        if len(place):
            flat = values.flatten(0, 1)
            flat[place] = flat[stand_in]
        high, low = values.amax(1), values.amin(1)
        if high.device.type == "cpu" and (high.isfinite() & low.isfinite()).all():
            return values, high, low, None
        broken = ~values.isfinite()
        return values, values.masked_fill(broken, -torch.inf).amax(1), values.masked_fill(broken, torch.inf).amin(1), broken
