"""From the states of whole texts to the activations of targets with functions, which the states of single positions cannot give."""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from optigram.errors import InputError
from optigram.models.base import Linear, Model
from optigram.objective.activations import TargetGroup, View
from optigram.objective.groups import pool, target_groups
from optigram.objective.whole_site import UnitGroup
from optigram.shapes import Bool, Float, Int
from optigram.targets.custom import Custom
from optigram.targets.target import Target


@dataclass(frozen=True, eq=False)
class _FunctionGroup:
    """One target, a weighted sum of `functions` of states and of `affine` terms; its interface is that of `TargetGroup`.

    `projections` are the sites that are linear in another. `looked` [s] is the mask that functions are given.
    """

    members: list[int]
    target: Target
    functions: tuple[tuple[Custom, float], ...]
    projections: Mapping[str, Linear]
    affine: TargetGroup | None
    share: Float[Tensor, " s"]
    peak: Bool[Tensor, " s"]
    looked: Bool[Tensor, " s"]

    by_prefix = None
    pre = None

    @property
    def sites(self) -> list[str]:
        """The sites that the model is asked to read."""
        asked = [site for function, _ in self.functions for site in function.sites]
        read = [self.projections[site].source if site in self.projections else site for site in asked]
        return list(dict.fromkeys([*read, *([] if self.affine is None else self.affine.sites)]))

    @property
    def kind(self) -> tuple[object, ...]:
        """What decides which operations are run."""
        return "functions", str(self.target)

    def activations(self, states: Mapping[str, Tensor], members: Int[Tensor, " n"] | None) -> Float[Tensor, "n 1"]:
        """Activations of texts with states {site: [n s h]}. Raises InputError for whatever is wrong with a function."""
        mask = self.looked.expand(len(next(iter(states.values()))), -1)
        fixed = torch.zeros(len(mask), device=mask.device)
        every = [] if self.affine is None else [self._affine(self.affine, states)]
        for function, weight in self.functions:
            values = weight * function({site: self._state(states, site) for site in function.sites}, mask)
            if values.ndim == 1:
                fixed = fixed + values
            else:
                every.append(values[:, self._positions])
        if not every and self.target.pool != "last":
            names = ", ".join(function.name for function, _ in self.functions)
            raise InputError(f"{names} returns one value per text, which no pool changes; leave out @{self.target.pool}")
        return (fixed + self._pooled(torch.stack(every).sum(0)) if every else fixed)[:, None]

    @functools.cached_property
    def _positions(self) -> list[int]:
        return torch.nonzero((self.share != 0) | self.peak).flatten().tolist()

    def _affine(self, group: TargetGroup, states: Mapping[str, Tensor]) -> Float[Tensor, "n p"]:
        joined = group.joined(states)
        return torch.cat([group.at(joined[:, position], None) for position in self._positions], dim=1)

    def _pooled(self, values: Float[Tensor, "n p"]) -> Float[Tensor, " n"]:
        return values.amax(1) if bool(self.peak.any()) else values @ self.share[self._positions]

    def _state(self, states: Mapping[str, Tensor], site: str) -> Float[Tensor, "n s h"]:
        head = self.projections.get(site)
        if head is None:
            return states[site].float()
        logits = states[head.source].float() @ head.weight.detach().float().T + head.bias.detach().float()
        return logits if head.softcap is None else head.softcap * torch.tanh(logits / head.softcap)


Groups = Sequence[TargetGroup | UnitGroup | _FunctionGroup]


def all_groups(model: Model, targets: Sequence[Target], looked: Bool[Tensor, " s"], view: View = "search") -> Groups:
    """The groups of all targets by number: one per target with functions; `looked` and `view` as in `target_groups`."""
    others = {number: target for number, target in enumerate(targets) if not target.custom}
    functions = [_function_group(model, number, target, looked, view) for number, target in enumerate(targets) if target.custom]
    return [*target_groups(model, others, looked, view), *functions]


def _function_group(model: Model, number: int, target: Target, looked: Bool[Tensor, " s"], view: View) -> _FunctionGroup:
    looked = looked.to(model.embedding.device)
    functions = tuple((term.readout, term.weight) for term in target.terms if isinstance(term.readout, Custom))
    sites = [site for function, _ in functions for site in function.sites]
    projections = {site: linear for site in sites if (linear := model.sites[site].linear) is not None}
    affine = next(iter(target_groups(model, {number: target}, looked, view)), None)
    return _FunctionGroup([number], target, functions, projections, affine, *pool(target, looked), looked)
