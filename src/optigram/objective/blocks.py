"""Batches of texts whose results do not depend on how many there are.

A network rounds differently with the number of texts. What counts is what a full block of texts gives; fewer texts run by themselves,
or with a few copies of the last one, only where texts like them were seen to give the same bits. That holds on a processor. A GPU
rounds with every shape, and to fill all batches up would make one text cost as much as a thousand: there they run as they are.
"""

import weakref
from collections.abc import Callable, Hashable, Iterator

import torch
from torch import Tensor

from optigram.shapes import Shaped

SOFT, HARD, ELSEWHERE = 32, 128, 1024  # texts of a block with a gradient, without one, and at most on a device other than a processor
COMPARED, SAMPLES = 32, 16  # results that a trial compares at least, in no more batches than that
SIZES = (2, 4, 8, 12, 16, 24, 32, 48, 64, 96, 128, 256, 512)  # of a batch that is filled up with copies

_OF_MODELS: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()


class Blocks:
    """Runs functions of texts in blocks, and remembers how many texts each needs for the bits of a full block."""

    def __init__(self, tried: bool = True) -> None:
        """Not `tried`: texts run as they are, and the last bits of a result may differ with the number of texts."""
        self._sizes: dict[Hashable, int] = {}
        self._tried = tried

    @classmethod
    def of(cls, model: object) -> "Blocks":
        """Those of a model, which are tried once as long as it is there: what is seen depends on its shapes, not on its weights."""
        try:
            return _OF_MODELS.setdefault(model, cls())
        except TypeError:  # it cannot be a key
            return cls()

    def run(self, key: Hashable, run: Callable[..., Tensor], *rows: Shaped[Tensor, "n ..."]) -> Shaped[Tensor, "n ..."]:
        """`run` of rows [n ...], of which it gives one result each; functions with one `key` are the same."""
        soft = torch.is_grad_enabled() and any(part.requires_grad for part in rows)
        there = rows[0].device.type != "cpu"
        most, plain = ELSEWHERE if there else SOFT if soft else HARD, there or not self._tried
        parts = zip(*(part.split(most) for part in rows), strict=True)
        found = [run(*part) if plain else self._one((key, soft), run, part, most) for part in parts]
        return found[0] if len(found) == 1 else torch.cat(found)

    def _one(self, key: Hashable, run: Callable[..., Tensor], rows: tuple[Tensor, ...], most: int) -> Tensor:
        count = len(rows[0])
        shapes = tuple((part.shape[1:], part.dtype) for part in rows)
        key = (key, count, shapes, rows[0].device, torch.get_num_threads())
        if key not in self._sizes:
            self._sizes[key] = count if count in (0, most) else next(_sizes(run, rows, most))
        size = self._sizes[key]
        return run(
            *(part if size == count else torch.cat([part, part[-1:].detach().expand(size - count, *part.shape[1:])]) for part in rows)
        )[:count]


def _sizes(run: Callable[..., Tensor], rows: tuple[Tensor, ...], most: int) -> Iterator[int]:
    """The numbers of texts that give the bits of `most` texts, fewest first, and at last `most`."""
    run(*rows)  # what is wrong with these texts is said of these texts
    made = [_varied(part, most) for part in rows]
    whole = _outcome(run, made)
    for size in (len(rows[0]), *(size for size in SIZES if len(rows[0]) < size < most)):
        if all(
            _same(run, [part[begin : begin + size] for part in made], [part[begin : begin + size] for part in whole])
            for begin in _begins(size, most)
        ):
            yield size
    yield most


def _begins(size: int, most: int) -> list[int]:
    """Where the compared batches of `size` texts begin in a block of `most`, from its first texts to its last ones."""
    count = min(max(-(-COMPARED // size), 2), SAMPLES)
    return sorted({round(number * (most - size) / (count - 1)) for number in range(count)})


def _same(run: Callable[..., Tensor], rows: list[Tensor], expected: list[Tensor]) -> bool:
    return all(torch.equal(part, other) for part, other in zip(_outcome(run, rows), expected, strict=True))


def _varied(part: Tensor, count: int) -> Tensor:
    """`count` rows, all different, that look like those of `part` [n ...]: numbers in another order, integers that are no larger."""
    generator, width = torch.Generator().manual_seed(0), part.shape[-1]
    if not part.is_floating_point():
        return torch.randint(int(part.max()) + 1, (count, *part.shape[1:]), generator=generator).to(part.device)
    shifts = torch.randint(width, (count, *[1] * (part.dim() - 1)), generator=generator).to(part.device)
    rows = torch.arange(count, device=part.device) % len(part)
    places = (torch.arange(width, device=part.device) + shifts) % width
    return part.detach()[rows].gather(-1, places.expand(-1, *part.shape[1:])).requires_grad_(part.requires_grad)


def _outcome(run: Callable[..., Tensor], rows: list[Tensor]) -> list[Tensor]:
    """The results of rows, and their gradients."""
    taken = [part.detach().requires_grad_(part.requires_grad) for part in rows]
    values = run(*taken)
    climbed = [part for part in taken if part.requires_grad]
    if not (climbed and values.requires_grad):
        return [values.detach()]
    return [values.detach(), *(part for part in torch.autograd.grad(values.sum(), climbed, allow_unused=True) if part is not None)]
