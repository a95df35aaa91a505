"""Targets: the numbers of a model that are maximised; and `resolve`, which looks up in a model what was asked for."""

import math
import operator
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from numbers import Real
from typing import Any, cast

from optigram.errors import InputError
from optigram.models.base import Model
from optigram.shapes import unchecked
from optigram.targets.address import HELP, MEMORY, POOLS, Address, Pool
from optigram.targets.custom import Custom
from optigram.targets.lookup import Lookup
from optigram.targets.readouts import Latent, Term

PEAKS = ("max", "anywhere")


@dataclass(frozen=True, repr=False)
class Target:
    """A number to maximise: the sum of its terms at every position of a text, pooled over positions.

    Targets add, subtract, scale and negate (`a - 0.5 * b`), and are then pooled (`(a + b).max()`). Equal targets read the same
    numbers. `str()` gives the address.
    """

    terms: tuple[Term, ...]
    pool: Pool = "last"

    __array_ufunc__ = None  # NumPy's numbers leave `number * target` to the target

    def __post_init__(self) -> None:
        if self.pool not in POOLS and (not isinstance(self.pool, int) or isinstance(self.pool, bool) or self.pool < 0):
            raise InputError(f"expected the pool {', '.join(POOLS)} or a position from 0, got {self.pool!r}")

    @property
    def key(self) -> str:
        """What random numbers depend on: the address with a hash of what a file holds in its place, so that no path decides a result."""
        return str(Address(tuple(term.keyed() for term in self.terms), self.pool))

    @property
    def latent(self) -> bool:
        """Whether it reads a latent of a sparse autoencoder, which is 0 on most texts."""
        return any(isinstance(term.readout, Latent) for term in self.terms)

    @property
    def custom(self) -> bool:
        """Whether it reads a function, which needs the states of whole texts."""
        return any(isinstance(term.readout, Custom) for term in self.terms)

    def last(self) -> "Target":
        """The value at the last position of the input."""
        return replace(self, pool="last")

    def max(self) -> "Target":
        """The maximum over the positions that depend on the free words: see "Pools" in the documentation."""
        return replace(self, pool="max")

    def mean(self) -> "Target":
        """The mean over the same positions."""
        return replace(self, pool="mean")

    def anywhere(self) -> "Target":
        """The maximum over every position."""
        return replace(self, pool="anywhere")

    @unchecked
    def at(self, position: int) -> "Target":
        """The value at one position of the input, counted from 0."""
        try:
            return replace(self, pool=operator.index(position))
        except TypeError as error:
            raise InputError(f"expected a position from 0, got {position!r}") from error

    def __add__(self, other: "Target") -> "Target":
        if not isinstance(other, Target):
            raise InputError(f"expected a target to add to {self}, got {_described(other)}; make one with neuron, logit or direction")
        if self.pool != other.pool:
            raise InputError(f"{self} and {other} are pooled differently; add first, then pool: (a + b).max()")
        if self.pool in PEAKS:
            raise InputError(f"the maximum of a sum is not the sum of {self} and {other}; add first, then pool: (a + b).max()")
        return Target(self.terms + other.terms, self.pool)

    def __radd__(self, other: Any) -> "Target":
        return self if isinstance(other, int) and other == 0 else self + cast("Target", other)  # sum() begins with 0

    def __sub__(self, other: "Target") -> "Target":
        return self + (-other if isinstance(other, Target) else other)

    def __mul__(self, factor: float) -> "Target":
        if not isinstance(factor, Real) or not _finite(factor) or factor == 0:
            raise InputError(f"expected a finite number other than 0 to multiply {self} with, got {_described(factor)}")
        if factor < 0 and self.pool in PEAKS:
            raise InputError(f"a negative multiple of {self} is not the maximum of negative values; negate first, then pool: (-a).max()")
        return Target(tuple(replace(term, weight=term.weight * float(factor)) for term in self.terms), self.pool)

    __rmul__ = __mul__

    def __truediv__(self, divisor: float) -> "Target":
        if not isinstance(divisor, Real) or not _finite(divisor) or divisor == 0:
            raise InputError(f"expected a finite number other than 0 to divide {self} by, got {_described(divisor)}")
        inverse = 1 / float(divisor) if float(divisor) else math.inf  # of a fraction too small for a float
        return self * inverse

    def negative(self) -> "Target":
        """What is highest where this is lowest: the negative at every position, pooled as before."""
        return replace(-self.last(), pool=self.pool)

    def __neg__(self) -> "Target":
        return self * -1

    def __str__(self) -> str:
        return str(Address(tuple(term.written() for term in self.terms), self.pool))

    def __repr__(self) -> str:
        return f"Target({str(self)!r})"


@unchecked  # what is no target is an InputError, also where annotations are checked
def resolve(targets: str | Target | Iterable[str | Target], model: Model) -> tuple[Target, ...]:
    """The targets of a model that are asked for, each once, in order: address strings, targets, or several of both.

    A module named in an address (`custom:package.module.function#site`) is imported. Raises InputError for a malformed address,
    an unknown site or name (the nearest are listed), an index out of range, a vector or an autoencoder of another width, and
    for anything that is neither an address nor a target.
    """
    if not hasattr(model, "sites") or not hasattr(model, "vocabulary"):
        raise InputError(f"expected a model to look targets up in, got {_described(model)}; open it with load")
    lookup = Lookup(model)
    found: dict[Target, None] = {}
    for asked in _listed(targets):
        if isinstance(asked, str):
            address = Address.parse(asked)
            first, *others = address.terms
            rest = tuple(term for other in others for term in lookup.terms(other))
            found |= {Target((term, *rest), address.pool): None for term in lookup.terms(first)}
        else:
            found[replace(asked, terms=tuple(map(lookup.term, asked.terms)))] = None
    if not found:
        raise InputError(f"no target was given; {HELP}")
    _check_names(found)
    return tuple(found)


def _listed(targets: Any) -> Iterable[str | Target]:
    if isinstance(targets, str | Target):
        return [targets]
    if not isinstance(targets, Iterable) or isinstance(targets, Mapping | bytes):
        raise InputError(f"{HELP}, or a Target, or several of them, got {_described(targets)}")
    listed = list(targets)
    for asked in listed:
        if not isinstance(asked, str | Target):
            raise InputError(f"{HELP}, or a Target, got {_described(asked)} in a {type(targets).__name__}")
    return cast("list[str | Target]", listed)


def _check_names(targets: Iterable[Target]) -> None:
    """Results are kept by address: two functions in memory must not share one."""
    names = [name for target in targets if target.custom and MEMORY in (name := str(target))]
    for name in {name for name in names if names.count(name) > 1}:
        raise InputError(f"two different targets are both written {name}; give them names: custom(function, sites, name=...)")


def _finite(number: Real) -> bool:
    """Whether a number, perhaps of thousands of digits, is finite as a float."""
    try:
        return math.isfinite(number)
    except OverflowError:
        return False


def _described(value: Any) -> str:
    shown = " ".join(repr(value).split()) if isinstance(value, str | int | float | None) else ""
    return f"{type(value).__name__} {shown[:40]}".strip() if value is not None else "None"
