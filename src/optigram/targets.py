"""Targets: which neuron, read where and when, and with which sign; and the addresses by which people name them.

An address is `[-]SITE:UNITS[@POOL]`: `language:umbrella`, `visual:17`, `-visual:pizza`, `language.hidden:0-9,12@max`.
A unit is an index, a range, `*`, or a name, in double quotes where it would read as one of the others.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from optigram.errors import InputError, nearest
from optigram.models.base import Site

Pool = Literal["last", "max", "mean"] | int  # over positions; an int is one position, counted from 0
ADDRESS = re.compile(r"(?P<sign>-?)(?P<site>[^\s:@,\"]+):(?P<units>.+?)(?:@(?P<pool>[a-z]+|\d+))?", re.DOTALL)
UNITS = re.compile(r'\s*("(?:[^"\\]|\\.)*"|[^",]+)\s*(?:,|$)')
PLAIN = re.compile(r"[\w.'/ ]+")
HELP = "expected an address such as language:umbrella, visual:17, visual:0-9@max or -visual:pizza"


@dataclass(frozen=True)
class Unit:
    """One unit of a site, by index; `name` is what the model calls it, if it does."""

    index: int
    name: str | None = None


@dataclass(frozen=True)
class Target:
    """A number to maximise: a readout of a site at every position, pooled over positions, times the sign."""

    site: str
    readout: Unit
    pool: Pool = "last"
    sign: Literal[1, -1] = 1

    def __str__(self) -> str:
        """The address that resolves to this target."""
        unit = self.readout.index if self.readout.name is None else self.readout.name
        return str(Address(self.site, (unit,), self.pool, self.sign))


@dataclass(frozen=True)
class Address:
    """A parsed address: `units` are indices, names and ranges; None stands for all units of the site."""

    site: str
    units: tuple[int | str | range, ...] | None
    pool: Pool = "last"
    sign: Literal[1, -1] = 1

    @classmethod
    def parse(cls, text: str) -> "Address":
        """Read an address; `str()` of what comes back reads the same again."""
        match = ADDRESS.fullmatch(text)
        if not match:
            raise InputError(f"malformed address {text!r}; {HELP}")
        pool = match["pool"] or "last"
        if not pool.isdecimal() and pool not in ("last", "max", "mean"):
            raise InputError(f"unknown pool {pool!r} in {text!r}; expected @last, @max, @mean or a position such as @0")
        units = None if match["units"].strip() == "*" else _units(match["units"], text)
        return cls(match["site"], units, int(pool) if pool.isdecimal() else pool, -1 if match["sign"] else 1)  # pyright: ignore[reportArgumentType]

    def __str__(self) -> str:
        units = "*" if self.units is None else ",".join(map(_show, self.units))
        return f"{'-' * (self.sign < 0)}{self.site}:{units}" + (f"@{self.pool}" if self.pool != "last" else "")


def resolve(addresses: Iterable[str], sites: Mapping[str, Site]) -> tuple[Target, ...]:
    """The targets that addresses name in a model with these sites, each once, in order.

    Raises InputError for a malformed address, an unknown site or name (the nearest are listed), an index out of range.
    """
    found: dict[Target, None] = {}
    for text in addresses:
        address = Address.parse(text)
        if address.site not in sites:
            raise InputError(f"unknown site {address.site!r}{nearest(address.site, sites)}; this model has {', '.join(sites)}")
        site = sites[address.site]
        for index in _indices(address, site):
            name = site.names[index] if site.names else None
            found[Target(address.site, Unit(index, name), address.pool, address.sign)] = None
    if not found:
        raise InputError(f"no target was given; {HELP}")
    return tuple(found)


def _units(text: str, address: str) -> tuple[int | str | range, ...]:
    units, at = [], 0
    while at < len(text):
        match = UNITS.match(text, at)
        if not match:
            raise InputError(f"malformed units {text!r} in {address!r}; {HELP}")
        units.append(_unit(match[1].strip(), address))
        at = match.end()
    if text.rstrip().endswith(",") or "" in units:
        raise InputError(f"an empty unit in {address!r}; {HELP}")
    return tuple(units)


def _unit(text: str, address: str) -> int | str | range:
    if text.startswith('"'):
        try:
            return json.loads(text)
        except json.JSONDecodeError as error:
            raise InputError(f"badly quoted name {text} in {address!r}; write it as a JSON string") from error
    if re.fullmatch(r"\d+", text, re.ASCII):
        return int(text)
    if span := re.fullmatch(r"(\d+)-(\d+)", text, re.ASCII):
        first, last = int(span[1]), int(span[2])
        if last < first:
            raise InputError(f"the range {text} in {address!r} ends before it starts; write {last}-{first}")
        return range(first, last + 1)
    return text


def _show(unit: int | str | range) -> str:
    match unit:
        case range():
            return f"{unit.start}-{unit.stop - 1}"
        case int():
            return str(unit)
        case str():
            plain = PLAIN.fullmatch(unit)
            return unit if plain and not unit.isdigit() and unit == unit.strip() and unit else json.dumps(unit)


def _indices(address: Address, site: Site) -> Iterable[int]:
    for unit in (range(site.width),) if address.units is None else address.units:
        match unit:
            case str():
                yield _named(unit, address.site, site)
            case int() | range():
                last = unit if isinstance(unit, int) else unit.stop - 1
                if last >= site.width:
                    raise InputError(f"unit {last} is out of range: {address.site} has units 0 to {site.width - 1}")
                yield from (unit,) if isinstance(unit, int) else unit


def _named(name: str, where: str, site: Site) -> int:
    if not site.names:
        raise InputError(f"the units of {where} have no names, so {name!r} is none of them; give an index from 0 to {site.width - 1}")
    if name not in site.names:
        raise InputError(f"{where} has no unit named {name!r}{nearest(name, site.names)}")
    return site.names.index(name)
