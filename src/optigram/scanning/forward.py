"""Forward passes of one fixed shape per width, so that the states of a chunk depend on the chunk alone, not on its batch.

A batch that does not fit into memory is halved, and so are all that follow.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch

from optigram.models.base import Model, States
from optigram.models.network import Network
from optigram.scanning.chunks import Batch, Chunk
from optigram.shapes import Int

PROBED = 12  # tokens of the text that shows whether a model is causal
ALIKE = 1e-5  # largest difference of equal states, relative to the largest state


def _is_causal(model: Model, sites: Sequence[str]) -> bool:
    """Whether states depend on nothing that follows them; then padding at the end needs no mask."""
    if model.step is not None and model.step.serves(sites):
        return True
    ids = Network.ordinary_ids(model.vocabulary, (1, PROBED), seed=1).to(model.embedding.device)
    other = ids.clone()
    other[0, -1] = ids[0, 0] if ids[0, 0] != ids[0, -1] else ids[0, 1]
    with torch.inference_mode():
        one, two = (model.read(model.embedding[each], sites) for each in (ids, other))
    return all(bool((one[site] - two[site])[:, :-1].abs().max() <= ALIKE * one[site].abs().max()) for site in sites)


class Forward:
    """Runs chunks through a model in batches of one shape. Where a mask is needed, `spare` positions are always padding.

    A model may compute a batch without padding in another way than one with padding; with a spare position all have some.
    """

    model: Model
    sites: Sequence[str]
    masked: bool
    spare: int
    halvings: int

    def __init__(self, model: Model, sites: Sequence[str]) -> None:
        self.model, self.sites = model, sites
        self.masked = not _is_causal(model, sites)
        self.spare = 1 if self.masked else 0
        self.halvings = 0

    def run(self, chunks: Sequence[Chunk], width: int, rows: int) -> Iterator[tuple[Sequence[Chunk], States]]:
        """The chunks of each forward pass and their states {site: [n width h]}, in as few passes as memory allows."""
        size = max(rows >> self.halvings, 1)
        for start in range(0, len(chunks), size):
            part = chunks[start : start + size]
            states = _unless_out_of_memory(lambda part=part: self._states(part, width, size))
            if states is None:
                if size == 1:
                    raise MemoryError(f"a single text of {width} tokens does not fit into memory; give a smaller --context")
                self.halvings += 1
                yield from self.run(chunks[start:], width, rows)
                return
            yield part, states

    def _states(self, chunks: Sequence[Chunk], width: int, rows: int) -> States:
        device = self.model.embedding.device
        lengths = [len(chunk.ids) for chunk in chunks]
        lengths += lengths[-1:] * (rows - len(chunks))
        flat, ends = Batch.uploaded((_filled(chunks, width, rows).ravel(), np.array(lengths)), device)
        ids, keep = flat.view(rows, width), torch.arange(width, device=device) < ends[:, None] if self.masked else None
        states = self.model.read(self.model.embedding[ids], self.sites, keep)
        return {site: state[: len(chunks)] for site, state in states.items()}


def _filled(chunks: Sequence[Chunk], width: int, rows: int) -> Int[np.ndarray, "rows width"]:
    """The ids of chunks, padded to a width, and with copies of the last chunk to a number of rows."""
    ids = np.zeros((rows, width), np.int64)
    for row, chunk in enumerate(chunks):
        ids[row, : len(chunk.ids)] = chunk.ids
    ids[len(chunks) :] = ids[len(chunks) - 1]
    return ids


def _unless_out_of_memory(run: Callable[[], States]) -> States | None:
    """What `run` returns, or None if memory runs out."""
    try:
        return run()
    except (MemoryError, torch.OutOfMemoryError):
        pass
    except RuntimeError as error:  # raised by the CPU allocator
        if "allocate memory" not in str(error):
            raise
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return None
