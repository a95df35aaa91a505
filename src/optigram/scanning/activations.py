"""Reads the activations of targets at every position of a batch. Units of a site are columns of its states, without any product."""

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
    """Units of a site that is read as it is; `index` None: all of them, in order."""

    site: str
    index: Tensor | None

    @property
    def sites(self) -> list[str]:
        return [self.site]

    def values(self, states: Mapping[str, Tensor]) -> Float[Tensor, "b s m"]:
        state = states[self.site]
        return state if self.index is None else state[..., self.index]


@dataclass(frozen=True)
class _Products:
    """All other targets: directions, latents, units of projections, sums."""

    group: TargetGroup

    @property
    def sites(self) -> list[str]:
        return self.group.sites

    def values(self, states: Mapping[str, Tensor]) -> Float[Tensor, "b s m"]:
        joined = self.group.joined(states)
        return self.group.at(joined.flatten(0, 1), None).unflatten(0, joined.shape[:2])


@dataclass(frozen=True)
class ActivationReader:
    """`targets` in the order in which `parts` give them; `starts[i]` is the number of the first target of `parts[i]`.

    `parts[i].values(states)` [b s m] are the activations of its m targets at every position.
    """

    targets: tuple[Target, ...]
    parts: tuple[_Columns | _Products, ...]
    starts: tuple[int, ...]

    @classmethod
    def of(cls, model: Model, targets: Sequence[Target]) -> "ActivationReader":
        """A reader of targets without their pools, for a scan looks at every position. Raises InputError for @mean and @NUMBER."""
        for target in targets:
            if target.pool not in ("last", "max", "anywhere"):
                raise InputError(f"a scan in context looks at every position, so leave the pool out of {target}, or scan n-grams alone")
            if target.custom:
                raise InputError(f"a scan in context reads single positions, and the function of {target} whole texts; scan n-grams alone")
        plain: dict[str, list[tuple[int, Target]]] = {}
        others: list[Target] = []
        for target in dict.fromkeys(dataclasses.replace(target, pool="last") for target in targets):
            match target.terms:
                case (Term(site, Unit(index), 1.0),) if model.sites[site].linear is None:
                    plain.setdefault(site, []).append((index, target))
                case _:
                    others.append(target)
        parts = [(_columns(model, site, units), [target for _, target in units]) for site, units in plain.items()]
        parts += _products(model, others)
        counts = [len(members) for _, members in parts]
        starts = tuple(sum(counts[:i]) for i in range(len(counts)))
        return cls(tuple(target for _, members in parts for target in members), tuple(part for part, _ in parts), starts)

    @property
    def sites(self) -> list[str]:
        """All sites that are read."""
        return list(dict.fromkeys(site for part in self.parts for site in part.sites))


def _columns(model: Model, site: str, units: Sequence[tuple[int, Target]]) -> _Columns | _Products:
    chosen = [index for index, _ in units]
    whole = chosen == list(range(model.sites[site].width))
    return _Columns(site, None if whole else torch.tensor(chosen, device=model.embedding.device))


def _products(model: Model, targets: Sequence[Target]) -> list[tuple[_Columns | _Products, list[Target]]]:
    if not targets:
        return []
    groups = target_groups(model, dict(enumerate(targets)), torch.ones(1, dtype=torch.bool), "exact")
    return [(_Products(group), [targets[i] for i in group.members]) for group in groups]
