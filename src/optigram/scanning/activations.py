"""Panels: the values of targets at every position of a batch. Units of one site are columns of its states, with no product at all."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from optigram.errors import InputError
from optigram.models.base import Model
from optigram.objective.activations import TargetGroup
from optigram.objective.groups import target_groups
from optigram.shapes import Float
from optigram.targets.readouts import Term, Unit
from optigram.targets.target import Target


@dataclass(frozen=True)
class _Columns:
    """Units of a site that is read as it is; `index` None are all of them in order."""

    site: str
    index: Tensor | None

    @property
    def sites(self) -> list[str]:
        """What is read."""
        return [self.site]

    def values(self, states: Mapping[str, Tensor]) -> Float[Tensor, "b s m"]:
        """The activations at every position."""
        state = states[self.site]
        return state if self.index is None else state[..., self.index]


@dataclass(frozen=True)
class _Products:
    """Whatever else can be read: directions, latents, units of projections, sums."""

    part: TargetGroup

    @property
    def sites(self) -> list[str]:
        """What is read."""
        return self.part.sites

    def values(self, states: Mapping[str, Tensor]) -> Float[Tensor, "b s m"]:
        """The activations at every position."""
        joined = self.part.joined(states)
        return self.part.at(joined.flatten(0, 1), None).unflatten(0, joined.shape[:2])


@dataclass(frozen=True)
class ActivationReader:
    """Targets in the order of the reader that serve them: `starts[i]` is the number of the first target of `parts[i]`."""

    targets: tuple[Target, ...]
    parts: tuple[_Columns | _Products, ...]
    starts: tuple[int, ...]

    @property
    def sites(self) -> list[str]:
        """All sites that are read."""
        return list(dict.fromkeys(site for part in self.parts for site in part.sites))


def activation_reader(model: Model, targets: Sequence[Target]) -> ActivationReader:
    """Panels for targets, whose pools are left aside: a scan looks at every position. Raises InputError for @mean and @NUMBER."""
    for target in targets:
        if target.pool not in ("last", "max", "anywhere"):
            raise InputError(f"a scan in context looks at every position, so leave the pool out of {target}, or scan n-grams alone")
        if target.custom:
            raise InputError(f"a scan in context reads single positions, and the function of {target} whole texts; scan n-grams alone")
    bare = list(dict.fromkeys(dataclasses.replace(target, pool="last") for target in targets))
    plain: dict[str, list[tuple[int, Target]]] = {}
    others: list[Target] = []
    for target in bare:
        match target.terms:
            case (Term(site, Unit(index), 1.0),) if model.sites[site].linear is None:
                plain.setdefault(site, []).append((index, target))
            case _:
                others.append(target)
    parts: list[tuple[_Columns | _Products, list[Target]]] = []
    for site, units in plain.items():
        chosen = [index for index, _ in units]
        whole = chosen == list(range(model.sites[site].width))
        index = None if whole else torch.tensor(chosen, device=model.embedding.device)
        parts.append((_Columns(site, index), [target for _, target in units]))
    if others:
        for part in target_groups(model, dict(enumerate(others)), torch.ones(1, dtype=torch.bool), "exact"):
            parts.append((_Products(part), [others[i] for i in part.members]))
    ordered = tuple(target for _, members in parts for target in members)
    counts = [len(members) for _, members in parts]
    return ActivationReader(ordered, tuple(part for part, _ in parts), tuple(sum(counts[:i]) for i in range(len(counts))))
