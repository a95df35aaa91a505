"""From states to activations: the units of all targets that read one site, and how they pool over positions."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from optigram.models.base import Model, in_blocks
from optigram.shapes import Bool, Float, Int
from optigram.targets import Target

ROWS, COLUMNS = 1024, 32  # shared texts are read in products of this one shape, whatever the number of targets


@dataclass(frozen=True)
class Readouts:
    """`members` are the targets (by number) that read `source`; `weight` [m h] and `bias` [m] hold their signs.

    A pool is `share` [m s], the weight of each position, or for the maximum over positions `peak` [m].
    """

    source: str
    members: list[int]
    weight: Float[Tensor, "m h"]
    bias: Float[Tensor, " m"]
    share: Float[Tensor, "m s"]
    peak: Bool[Tensor, " m"]

    @functools.cached_property
    def positions(self) -> list[int]:
        """The positions that any member looks at."""
        return torch.nonzero((self.share != 0).any(0) | self.peak.any()).flatten().tolist()

    def of_texts(self, states: Float[Tensor, "m1 c s h"]) -> Float[Tensor, "m c"]:
        """Activations [m c] of texts with states [m c s h], or [1 c s h] where all members read the same texts."""
        states = states[:, :, self.positions]
        if len(states) == 1 < len(self.members):
            values = (states[0] @ self.weight.T).movedim(-1, 0)
        else:
            values = (states * self.weight[:, None, None]).sum(-1)
        values = values + self.bias[:, None, None]
        mixed = (values * self.share[:, None, self.positions]).sum(-1)
        return torch.where(self.peak[:, None], values.amax(-1), mixed) if self.peak.any() else mixed

    def at(self, states: Float[Tensor, "n h"], members: Int[Tensor, " n"] | None) -> Float[Tensor, "n m"]:
        """Values of states [n h] at one position: [n m], or [n 1] where each row is read by the one of `members` [n]."""
        if members is not None:
            return (states * self.weight[members]).sum(-1, keepdim=True) + self.bias[members, None]
        missing = -len(self.weight) % COLUMNS
        padded = torch.cat([self.weight, self.weight.new_zeros(missing, self.weight.shape[1])])
        products = [in_blocks(lambda rows, part=part: rows @ part.T, states, ROWS) for part in padded.split(COLUMNS)]
        return torch.cat(products, dim=1)[:, : len(self.weight)] + self.bias

    def pool_on(
        self, pooled: Float[Tensor, "n m"] | None, values: Float[Tensor, "n m"], position: int, members: Int[Tensor, " n"] | None
    ) -> Float[Tensor, "n m"]:
        """What is pooled once the values of one more position are known; shapes as in `at`."""
        share = self.share[:, position] if members is None else self.share[members, position, None]
        peak = self.peak if members is None else self.peak[members, None]
        if pooled is None:
            return torch.where(peak, values, values * share)
        return torch.where(peak, torch.maximum(pooled, values), pooled + values * share)


def readouts(model: Model, targets: Sequence[Target], positions: int) -> list[Readouts]:
    """One `Readouts` for each source site of `targets`, for texts of so many positions."""
    device = model.embedding.device
    groups: dict[str, list[int]] = {}
    for number, target in enumerate(targets):
        linear = model.sites[target.site].linear
        groups.setdefault(target.site if linear is None else linear.source, []).append(number)
    found = []
    for source, members in groups.items():
        rows = [_row(model, targets[i], positions) for i in members]
        weight, bias, share = (torch.stack(parts).to(device) for parts in zip(*rows, strict=True))
        peak = torch.tensor([targets[i].pool == "max" for i in members], device=device)
        found.append(Readouts(source, members, weight, bias, share, peak))
    return found


def _row(model: Model, target: Target, positions: int) -> tuple[Tensor, Tensor, Tensor]:
    """Weight [h], bias [] and share of each position [s] of one target, in the target's sign."""
    site, index = model.sites[target.site], target.readout.index
    if site.linear is None:
        weight, bias = torch.nn.functional.one_hot(torch.tensor(index), site.width).float(), torch.zeros(())
    else:
        weight, bias = site.linear.weight[index].detach().float(), site.linear.bias[index].detach().float()
    share = torch.zeros(positions)
    match target.pool:
        case "mean":
            share[:] = 1 / positions
        case "last":
            share[-1] = 1
        case int():
            share[target.pool] = 1
        case "max":
            pass
    return target.sign * weight, target.sign * bias, share
