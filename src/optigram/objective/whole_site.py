"""All units of a site at once, beside the targets of an objective: what they give is there anyway, and may be kept."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from optigram.models.base import Model
from optigram.objective.activations import TargetGroup
from optigram.objective.groups import pool, target_groups
from optigram.shapes import Bool, Float
from optigram.targets.address import Pool
from optigram.targets.readouts import Term, Unit
from optigram.targets.target import Target

WIDER = 4  # a projection is read whole if it has at most this many units per unit of its source: it costs less than the model does


class Whole(NamedTuple):
    """All units of a site, each times `sign`, under one pool."""

    site: str
    sign: float
    pool: Pool

    @classmethod
    def of(cls, model: Model, target: Target) -> "Whole | None":
        """The whole site that a target is a unit of; None if it is none, or reading the whole site would cost too much."""
        match target.terms:
            case (Term(site, Unit(), (1.0 | -1.0) as sign),):
                linear = model.sites[site].linear
                cheap = linear is None or len(linear.weight) <= WIDER * linear.weight.shape[1]
                return cls(site, sign, target.pool) if cheap else None
        return None

    def group(self, model: Model, looked: Bool[Tensor, " s"]) -> "TargetGroup | UnitGroup":
        """What reads it; `looked` as in `target_groups`."""
        width = model.sites[self.site].width
        targets = {unit: Target((Term(self.site, Unit(unit), self.sign),), self.pool) for unit in range(width)}
        if model.sites[self.site].linear is not None:
            (found,) = target_groups(model, targets, looked)
            return found
        return UnitGroup(self.site, list(targets), self.sign, *pool(targets[0], looked.to(model.embedding.device)))


@dataclass(frozen=True, eq=False)
class UnitGroup:
    """All units of a site that is read as it is, without any product; its interface is that of `TargetGroup`.

    `share` and `peak` [s] are those of the pool that the units have in common.
    """

    site: str
    members: list[int]
    sign: float
    share: Float[Tensor, " s"]
    peak: Bool[Tensor, " s"]

    pre = None

    @property
    def by_prefix(self) -> "UnitGroup":
        """What serves texts that are read position by position: the group itself."""
        return self

    @property
    def sites(self) -> list[str]:
        """The site."""
        return [self.site]

    @functools.cached_property
    def positions(self) -> list[int]:
        """The positions that the pool looks at."""
        return torch.nonzero((self.share != 0) | self.peak).flatten().tolist()

    @functools.cached_property
    def _shares(self) -> list[float]:
        return self.share.tolist()

    @functools.cached_property
    def _peaked(self) -> bool:
        return bool(self.peak.any())

    @property
    def kind(self) -> tuple[object, ...]:
        """What decides which operations are run."""
        return self.site, len(self.members), self._peaked

    def joined(self, states: Mapping[str, Tensor]) -> Float[Tensor, "... h"]:
        """The states of the site in float32."""
        return states[self.site].float()

    def at(self, states: Float[Tensor, "n h"], members: Tensor | None = None) -> Float[Tensor, "n h"]:
        """The values at one position."""
        return self.sign * states

    def pool_on(
        self, pooled: Float[Tensor, "n h"] | None, values: Float[Tensor, "n h"], position: int, members: Tensor | None = None
    ) -> Float[Tensor, "n h"]:
        """The pooled values after one more of `positions`."""
        if self._peaked:
            return values if pooled is None else torch.maximum(pooled, values)
        weighed = values * self._shares[position]
        return weighed if pooled is None else pooled + weighed

    def activations(self, states: Mapping[str, Tensor], members: Tensor | None = None) -> Float[Tensor, "n h"]:
        """Activations of texts with states {site: [n s h]}."""
        joined, pooled = self.joined(states), None
        for position in self.positions:
            pooled = self.pool_on(pooled, self.at(joined[:, position]), position)
        assert pooled is not None, "every pool covers a position"
        return pooled
