"""Batches of texts whose results do not depend on how many there are.

A network rounds differently with the number of texts. What counts is what a full block of texts gives; fewer texts run by themselves,
or with a few copies of the last one, only where that was seen to give the same bits.
"""

import itertools
from collections.abc import Callable, Hashable, Iterator

import torch
from torch import Tensor

from optigram.shapes import Shaped

SOFT, HARD, ELSEWHERE = 32, 128, 1024  # texts of a block with a gradient, without one, and on a device other than a processor
SIZES = (2, 4, 8, 12, 16, 24, 32, 48, 64, 96, 128, 256, 512)  # of a batch that is filled up with copies


class Blocks:
    """Runs functions of texts in blocks, and remembers how many texts each needs for the bits of a full block."""

    def __init__(self) -> None:
        self._sizes: dict[Hashable, int] = {}

    def run(self, key: Hashable, run: Callable[..., Tensor], *rows: Shaped[Tensor, "n ..."]) -> Shaped[Tensor, "n ..."]:
        """`run` of rows [n ...], of which it gives one result each; functions with one `key` are the same."""
        soft = torch.is_grad_enabled() and any(part.requires_grad for part in rows)
        most = ELSEWHERE if rows[0].device.type != "cpu" else SOFT if soft else HARD
        found = [self._one((key, soft), run, part, most) for part in zip(*(part.split(most) for part in rows), strict=True)]
        return found[0] if len(found) == 1 else torch.cat(found)

    def _one(self, key: Hashable, run: Callable[..., Tensor], rows: tuple[Tensor, ...], most: int) -> Tensor:
        count = len(rows[0])
        key = (key, count, *(part.shape[1:] for part in rows), torch.get_num_threads())
        if key not in self._sizes:
            self._sizes[key] = count if count == most else next(_sizes(run, rows, most))
        size = self._sizes[key]
        return run(*(part if size == count else torch.cat([part, part[-1:].detach().expand(size - count, *part.shape[1:])]) for part in rows))[
            :count
        ]


def _sizes(run: Callable[..., Tensor], rows: tuple[Tensor, ...], most: int) -> Iterator[int]:
    """The numbers of texts that give the bits of `most` texts, fewest first, and at last `most`."""
    count = len(rows[0])
    places = torch.arange(most, device=rows[0].device) % count
    outcomes = ((size, _outcome(run, rows, places[:size])) for size in (count, *(size for size in SIZES if count < size < most)))
    first = next(outcomes)
    whole = _outcome(run, rows, places)
    if all(torch.equal(part, part[:count][places]) for part in whole):  # wherever a text is
        for size, found in itertools.chain([first], outcomes):
            if all(torch.equal(part, other[:size]) for part, other in zip(found, whole, strict=True)):
                yield size
    yield most


def _outcome(run: Callable[..., Tensor], rows: tuple[Tensor, ...], places: Tensor) -> list[Tensor]:
    """The results of the rows at `places`, and their gradients."""
    taken = [part.detach()[places].requires_grad_(part.requires_grad) for part in rows]
    values = run(*taken)
    climbed = [part for part in taken if part.requires_grad]
    if not (climbed and values.requires_grad):
        return [values.detach()]
    return [values.detach(), *(part for part in torch.autograd.grad(values.sum(), climbed, allow_unused=True) if part is not None)]
