"""The highest and the lowest activation of each chunk of a batch, for every target."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from optigram.shapes import Bool, Float, Int


@dataclass(frozen=True)
class Peaks:
    """Of b chunks and m targets `score` [b 2m]: the highest finite activations, and then the lowest ones, less them.

    `broken` are the activations that are not finite, by part (None: all are finite). `largest` is the largest size of a finite
    activation, or None where the host would have to wait for it. `position` [b 2m] is where each score is reached first; None: it is
    looked for later, for the few that are asked for.
    """

    score: Float[Tensor, "b e"]
    broken: Sequence[Bool[Tensor, "b s _"]] | None
    largest: float | None
    position: Int[Tensor, "b e"] | None

    @classmethod
    def of(cls, values: Sequence[Float[Tensor, "b s _"]], first: Int[Tensor, " b"], several: bool) -> "Peaks":
        """The peaks of activations by part, in which positions that do not count hold the value of the `first` that does.

        On a CPU positions come later, and whether all is finite is asked first. Elsewhere to ask would be to wait, and positions come with
        the scores, unless `several` of a chunk are wanted, so that nobody needs the activations again.
        """
        near = values[0].device.type == "cpu"
        if near:
            score = torch.cat([part.amax(1) for part in values] + [-part.amin(1) for part in values], dim=1)
            if math.isfinite(largest := float(score.max())):  # NaN counts as the largest
                return cls(score, None, largest, None)
        broken = [~part.isfinite() for part in values]
        highest = [part.masked_fill(bad, -torch.inf).max(1) for part, bad in zip(values, broken, strict=True)]
        lowest = [part.masked_fill(bad, torch.inf).min(1) for part, bad in zip(values, broken, strict=True)]
        score = torch.cat([end.values for end in highest] + [-end.values for end in lowest], dim=1)
        if near or several:
            return cls(score, broken, float(score.max()) if near else None, None)
        position = torch.cat([end.indices for end in highest + lowest], dim=1)
        # what comes before the first position that counts stands for it
        return cls(score, broken, None, torch.maximum(position, first[:, None]).int())
