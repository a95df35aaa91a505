"""Batches of texts whose results do not depend on how many there are.

A network rounds differently with the number of texts. What counts is what a full block of texts gives; fewer texts run by themselves,
or with a few copies of the last one, only where texts like them were seen to give the same bits. That holds on a processor. A GPU
rounds with every shape, and to fill all batches up would make one text cost as much as a thousand: there they run as they are.
"""

from collections.abc import Callable, Hashable

import torch
from torch import Tensor

from optigram.models.trials import Trials
from optigram.shapes import Shaped

SOFT, HARD, ELSEWHERE = 32, 128, 1024  # texts of a block with a gradient, without one, and at most on a device other than a processor
COMPARED, SAMPLES = 32, 16  # results that a trial compares at least, in no more batches than that
SIZES = (2, 4, 8, 12, 16, 24, 32, 48, 64, 96, 128, 256, 512)  # of a batch that is filled up with copies
HELD = 1 << 20  # numbers of a full block that is kept for the next number of texts

Run = Callable[..., Tensor]


class Blocks:
    """Runs functions of texts in blocks, and remembers how many texts each needs for the bits of a full block."""

    def __init__(self, tried: bool = True, trials: Trials | None = None) -> None:
        """Not `tried`: texts run as they are, and the last bits of a result may differ with the number of texts."""
        self._tried, self._trials = tried, trials or Trials()
        self._sizes: dict[Hashable, int] = {}
        self._full: dict[Hashable, _Full] = {}

    @classmethod
    def of(cls, model: object) -> "Blocks":
        """Those of a model, which knows what its trials have told: that depends on its shapes, and not on what is searched."""
        return cls(trials=Trials.of(model))

    def run(self, key: Hashable, run: Run, *rows: Shaped[Tensor, "n ..."]) -> Shaped[Tensor, "n ..."]:
        """`run` of rows [n ...], of which it gives one result each; functions with one `key` are the same, in every process."""
        soft = torch.is_grad_enabled() and any(part.requires_grad for part in rows)
        there = rows[0].device.type != "cpu"
        most, plain = ELSEWHERE if there else SOFT if soft else HARD, there or not self._tried
        if len(rows[0]) <= most:
            return run(*rows) if plain else self._one((key, soft), run, rows, most)
        parts = zip(*(part.split(most) for part in rows), strict=True)
        found = [run(*part) if plain else self._one((key, soft), run, part, most) for part in parts]
        return torch.cat(found)

    def _one(self, key: Hashable, run: Run, rows: tuple[Tensor, ...], most: int) -> Tensor:
        count = len(rows[0])
        if count in (0, most):
            return run(*rows)
        alike = (key, tuple((part.shape[1:], part.dtype) for part in rows), rows[0].device, torch.get_num_threads())
        size = self._sizes.get((alike, count))
        if size is None:
            found = run(*rows)  # what is wrong with these texts is said of these texts
            size = self._sizes[alike, count] = self._size(alike, run, rows, most)
            if size == count:
                return found
        return run(
            *(part if size == count else torch.cat([part, part[-1:].detach().expand(size - count, *part.shape[1:])]) for part in rows)
        )[:count]

    def _size(self, alike: Hashable, run: Run, rows: tuple[Tensor, ...], most: int) -> int:
        """The fewest texts, at least those of `rows`, that give the bits of `most` texts, by a trial if none was made."""
        count = len(rows[0])
        possible = (count, *(size for size in SIZES if count < size < most), most)

        def tried() -> int:
            full = self._full.pop(alike, None) or _Full(run, rows, most)
            if full.held <= HELD:
                self._full[alike] = full
            return next(size for size in possible if full.gives(size))

        return self._trials.answer(f"texts {count} of {alike!r}", tried, possible.__contains__)


class _Full:
    """A full block of texts like given ones, and what a function gives for it, to which fewer texts are compared."""

    def __init__(self, run: Run, rows: tuple[Tensor, ...], most: int) -> None:
        self.run, self.most = run, most
        self.made = [_varied(part, most) for part in rows]
        self.whole = _outcome(run, self.made)
        self.held = sum(part.numel() for part in (*self.made, *self.whole))
        self._known = {most: True}

    def gives(self, size: int) -> bool:
        """Whether `size` texts give the bits of all of them."""
        if size not in self._known:
            parts = (slice(begin, begin + size) for begin in _begins(size, self.most))
            self._known[size] = all(_same(self.run, [one[part] for one in self.made], [one[part] for one in self.whole]) for part in parts)
        return self._known[size]


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
