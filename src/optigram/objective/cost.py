"""The cost of scoring per target, in forward-equivalents."""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from optigram.shapes import Bool, Float


@dataclass
class Cost:
    """Forward-equivalents of each target [k]: the forward of one text is 1, its backward 2.

    Texts that share a prefix share the work on it, and only what runs is charged: one new last word of five costs a fifth.
    Texts shared by all targets are charged to each in full. `active` [k] marks the targets whose search goes on.
    """

    forwards: Float[torch.Tensor, " k"]
    backwards: Float[torch.Tensor, " k"]
    active: Bool[torch.Tensor, " k"]

    @classmethod
    def at_zero(cls, targets: int) -> "Cost":
        """No cost yet for `targets` targets, all of them active."""
        return cls(
            torch.zeros(targets, dtype=torch.float64), torch.zeros(targets, dtype=torch.float64), torch.ones(targets, dtype=torch.bool)
        )

    @property
    def spent(self) -> Float[torch.Tensor, " k"]:
        """Forward-equivalents [k]."""
        return self.forwards + self.backwards

    def charge(self, forwards: Float[torch.Tensor, " k"] | float = 0.0, backwards: Float[torch.Tensor, " k"] | float = 0.0) -> None:
        """Add a cost to the active targets."""
        for spent, more in ((self.forwards, forwards), (self.backwards, backwards)):
            if isinstance(more, torch.Tensor) or more:
                spent += self.active * more

    @contextlib.contextmanager
    def charged(self, targets: Bool[torch.Tensor, " k"]) -> Iterator[None]:
        """Within the block, only these of the active targets are charged: the others' texts fill a batch up, and are not used."""
        active = self.active
        self.active = active & targets.cpu()
        try:
            yield
        finally:
            self.active = active

    def of(self, members: Sequence[int]) -> "Cost":
        """The cost of some of the targets, by number: what is charged to it is charged here."""
        return _Part(self.forwards[members], self.backwards[members], self.active[members], self, members)


@dataclass
class _Part(Cost):
    whole: Cost
    members: Sequence[int]

    def charge(self, forwards: Float[torch.Tensor, " k"] | float = 0.0, backwards: Float[torch.Tensor, " k"] | float = 0.0) -> None:
        self.whole.charge(*(self._spread(cost) for cost in (forwards, backwards)))

    def _spread(self, cost: Float[torch.Tensor, " m"] | float) -> Float[torch.Tensor, " k"]:
        spread = torch.zeros_like(self.whole.forwards)
        spread[self.members] = torch.as_tensor(cost, dtype=spread.dtype)
        return spread
