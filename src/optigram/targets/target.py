"""Targets: which number of a model is maximised, read where and when; and `resolve`, which finds what addresses name.

A target is a sum of terms, each a readout of one site times a weight, taken at every position and pooled over positions.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from torch import Tensor

from optigram.errors import InputError, nearest
from optigram.models.base import Site
from optigram.shapes import Float
from optigram.targets import address as addresses
from optigram.targets.address import HELP, Address, Pool
from optigram.targets.latent import SparseAutoencoder
from optigram.targets.sae_formats import open_autoencoder, read_vector
from optigram.text.vocabulary import UNKNOWNS, Vocabulary


@dataclass(frozen=True)
class Unit:
    """One unit of a site, by index; `name` is what the model calls it, if it does."""

    index: int
    name: str | None = None


@dataclass(frozen=True)
class Direction:
    """The product of the state with a vector [h], as it is: no length is taken out. It is known by `file` and `name` alone."""

    file: str
    name: str
    vector: Float[Tensor, " h"] = field(compare=False, repr=False)


@dataclass(frozen=True)
class Latent:
    """One latent of a sparse autoencoder that reads the site. It is known by the autoencoder's `file` and `index` alone."""

    file: str
    index: int
    autoencoder: SparseAutoencoder = field(compare=False, repr=False)


Readout = Unit | Direction | Latent


@dataclass(frozen=True)
class Term:
    """A readout of a site, times a weight."""

    site: str
    readout: Readout
    weight: float = 1.0


@dataclass(frozen=True)
class Target:
    """A number to maximise: the sum of its terms at every position, pooled over positions."""

    terms: tuple[Term, ...]
    pool: Pool = "last"

    @classmethod
    def unit(cls, site: str, index: int, name: str | None = None, pool: Pool = "last", weight: float = 1.0) -> "Target":
        """The target that is one unit of a site."""
        return cls((Term(site, Unit(index, name), weight),), pool)

    @property
    def latent(self) -> bool:
        """Whether an autoencoder stands between the model and the number, which is then 0 on most texts."""
        return any(isinstance(term.readout, Latent) for term in self.terms)

    def __str__(self) -> str:
        """The address that resolves to this target."""
        return str(Address(tuple(map(_written, self.terms)), self.pool))


def resolve(texts: Iterable[str], sites: Mapping[str, Site], vocabulary: Vocabulary | None = None) -> tuple[Target, ...]:
    """The targets that addresses name in a model with these sites, each once, in order.

    `vocabulary` serves the message for a word that is several tokens. Raises InputError for a malformed address, an
    unknown site or name (the nearest are listed), an index out of range, a direction or autoencoder of another width.
    """
    finder = _Finder(sites, vocabulary, {}, {})
    found: dict[Target, None] = {}
    for text in texts:
        address = Address.parse(text)
        first, *others = address.terms
        rest = tuple(term for other in others for term in finder.terms(other))
        found |= {Target((term, *rest), address.pool): None for term in finder.terms(first)}
    if not found:
        raise InputError(f"no target was given; {HELP}")
    return tuple(found)


def _written(term: Term) -> addresses.Term:
    match term.readout:
        case Unit(index, name):
            return addresses.Term(term.site, (index if name is None else name,), None, term.weight)
        case Direction(file, name):
            return addresses.Term(term.site, (name,), file, term.weight)
        case Latent(file, index):
            return addresses.Term(term.site, (index,), file, term.weight)


@dataclass(frozen=True)
class _Finder:
    """Looks terms up; each file is read once, and each site's names are looked through once."""

    sites: Mapping[str, Site]
    vocabulary: Vocabulary | None
    autoencoders: dict[str, SparseAutoencoder]
    indices: dict[str, dict[str, int]]

    def terms(self, term: addresses.Term) -> Iterator[Term]:
        """The terms, one for each unit, that a term of an address names."""
        if term.site not in self.sites:
            raise InputError(f"unknown site {term.site!r}{nearest(term.site, self.sites)}; {_listed(self.sites)}")
        site = self.sites[term.site]
        for readout in self._units(term, site) if term.file is None else self._from_file(term, term.file, site):
            yield Term(term.site, readout, term.weight)

    def _units(self, term: addresses.Term, site: Site) -> Iterator[Readout]:
        first = self._first(term.site, site)
        for unit in _each(term, site.width, term.site):
            index = self._index(unit, term.site, site) if isinstance(unit, str) else unit
            name = site.names[index] if site.names else None
            yield Unit(index, name if name is not None and first[name] == index else None)

    def _first(self, where: str, site: Site) -> dict[str, int]:
        """The first unit of each name: two tokens may read the same."""
        if where not in self.indices:
            self.indices[where] = {name: i for i, name in reversed(list(enumerate(site.names)))}
        return self.indices[where]

    def _index(self, name: str, where: str, site: Site) -> int:
        if not site.names:
            raise InputError(f"the units of {where} have no names, so {name!r} is none of them; give an index from 0 to {site.width - 1}")
        first = self._first(where, site)
        if name in first:
            return first[name]
        if self.vocabulary is not None and site.width == len(self.vocabulary):
            parts = [self.vocabulary.tokens[i] for i in self.vocabulary.encode(name)]
            if len(parts) > 1 and not set(parts) & set(UNKNOWNS):
                raise InputError(f"{name!r} is {len(parts)} tokens, {', '.join(map(repr, parts))}; a unit of {where} is one of them")
        raise InputError(f"{where} has no unit named {name!r}{nearest(name, site.names)}")

    def _from_file(self, term: addresses.Term, file: str, site: Site) -> Iterator[Readout]:
        if site.linear is not None:
            raise InputError(f"{term.site} is itself a projection; a direction or latent is read from {site.linear.source}")
        if term.units is not None and all(isinstance(unit, str) for unit in term.units):
            for name in map(str, term.units):
                yield Direction(file, name, _fitting(read_vector(file, name), site.width, f"the direction {name!r} in {file}", term.site))
            return
        if file not in self.autoencoders:
            self.autoencoders[file] = open_autoencoder(file)
        autoencoder = self.autoencoders[file]
        _fitting(autoencoder.center, site.width, f"the autoencoder {file}", term.site)
        for unit in _each(term, len(autoencoder.encoder), file):
            if isinstance(unit, str):
                raise InputError(f"the latents of {file} have no names, so {unit!r} is none of them; give an index")
            yield Latent(file, unit, autoencoder)


def _each(term: addresses.Term, width: int, where: str) -> Iterator[int | str]:
    """Every index and name that the units of a term stand for; an InputError for an index that is out of range."""
    for unit in (range(width),) if term.units is None else term.units:
        match unit:
            case str():
                yield unit
            case int() | range():
                last = unit if isinstance(unit, int) else unit.stop - 1
                if last >= width:
                    raise InputError(f"unit {last} is out of range: {where} has units 0 to {width - 1}")
                yield from (unit,) if isinstance(unit, int) else unit


def _fitting(vector: Tensor, width: int, what: str, where: str) -> Tensor:
    if len(vector) != width:
        raise InputError(f"{what} is for states of width {len(vector)}, but {where} has {width}; was it made for another place or model?")
    return vector


def _listed(sites: Mapping[str, Site], most: int = 12) -> str:
    names = list(sites)
    more = f" and {len(names) - most} more; see `optigram sites`" if len(names) > most else ""
    return f"this model has {', '.join(names[:most])}{more}"
