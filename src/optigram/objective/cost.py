"""The cost: what judging has cost each target, in forward-equivalents."""

from dataclasses import dataclass

import torch

from optigram.shapes import Bool, Float


@dataclass
class Cost:
    """What each target [k] has cost, in forward-equivalents: the forward of one text is 1, its backward 2.

    Texts that share a prefix share the work on it, and only what is run counts: one new last word of five costs a fifth.
    Texts that all targets judge are charged to each in full. `active` [k] marks the targets whose search goes on.
    """

    forwards: Float[torch.Tensor, " k"]
    backwards: Float[torch.Tensor, " k"]
    active: Bool[torch.Tensor, " k"]

    @classmethod
    def at_zero(cls, targets: int) -> "Cost":
        """A cost for so many targets, all of them active."""
        return cls(
            torch.zeros(targets, dtype=torch.float64), torch.zeros(targets, dtype=torch.float64), torch.ones(targets, dtype=torch.bool)
        )

    @property
    def spent(self) -> Float[torch.Tensor, " k"]:
        """Forward-equivalents [k]."""
        return self.forwards + self.backwards

    def charge(self, forwards: Float[torch.Tensor, " k"] | float = 0.0, backwards: float = 0.0) -> None:
        """Add a cost to the targets that pay."""
        self.forwards += self.active * forwards
        self.backwards += self.active * backwards
