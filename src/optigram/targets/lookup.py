"""Looking up terms in a model: units by name or index, directions, latents and functions, all checked against the model's sites."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from optigram.errors import InputError, nearest
from optigram.models.base import Model, Site
from optigram.models.vocabulary_logits import vocabulary_logits
from optigram.targets import address as addresses
from optigram.targets.address import CUSTOM, LOG_PROB, LOGIT, MEMORY
from optigram.targets.custom import Custom
from optigram.targets.latent import SparseAutoencoder
from optigram.targets.readouts import Asked, Direction, Held, Latent, LogProb, Term, Unit
from optigram.targets.sae_formats import open_autoencoder, read_vector
from optigram.text.vocabulary import UNKNOWNS

SHOWN = 12  # sites in an error message


@dataclass(frozen=True)
class Lookup:
    """Looks up terms in `model`. Each file is read once, each object in memory converted once, each site's names listed once."""

    model: Model
    _autoencoders: dict[str | Held, SparseAutoencoder] = field(default_factory=dict)
    _indices: dict[str, dict[str, int]] = field(default_factory=dict)
    _sites: dict[str, tuple[str, Site]] = field(default_factory=dict)

    def terms(self, term: addresses.Term) -> Iterator[Term]:
        """The terms that a term of an address stands for, one per unit."""
        file, units = term.file, term.units
        if term.site == CUSTOM:
            yield self.term(Term(*_function(file, units), term.weight))
            return
        named = units is not None and any(isinstance(unit, str) for unit in units)
        if file is not None and named and not all(isinstance(unit, str) for unit in units or ()):
            raise InputError(
                f"the latents of {file} have no names, so {next(u for u in units or () if isinstance(u, str))!r} is none of them"
            )
        where, site = self._site(term.site)
        width, holder = (site.width, where) if file is None or named else (len(self._autoencoder(file, where, site).encoder), file)
        for unit in _each(units, width, holder):
            yield self.term(Term(term.site, Asked(unit, file), term.weight))

    def term(self, term: Term) -> Term:
        """The term with its readout found in the model and checked. Raises InputError."""
        readout = term.readout
        if isinstance(readout, Custom):
            for name in readout.sites:
                self._site(name)
            return term
        where, site = self._site(LOG_PROB if isinstance(readout, LogProb) else term.site)
        match readout:
            case Asked(unit, None):
                kind = LogProb if term.site == LOG_PROB else Unit
                return replace(term, site=where, readout=kind(*self._unit(unit, where, site)))
            case Asked(str() as name, str() as file):
                return replace(term, readout=self._direction(Direction(name, read_vector(_opened(file, name), name), file), where, site))
            case Asked(int() as index, source) if source is not None:
                autoencoder = self._autoencoder(source, where, site)
                return replace(term, readout=self._latent(Latent(autoencoder.name, index, autoencoder), where, site))
            case Unit(index, name) | LogProb(index, name):
                return replace(term, site=where, readout=type(readout)(*self._same_unit(index, name, where, site)))
            case Direction():
                return replace(term, readout=self._direction(readout, where, site))
            case Latent():
                return replace(term, readout=self._latent(readout, where, site))
        raise InputError(f"expected the index of a latent of {term.site}, got {term.written().units}")

    def _site(self, name: str) -> tuple[str, Site]:
        """A site and what the model calls it; `logit` and `log_prob` stand for the vocabulary logits."""
        if name not in self._sites:
            self._sites[name] = self._found_site(name)
        return self._sites[name]

    def _found_site(self, name: str) -> tuple[str, Site]:
        sites = self.model.sites
        if name == LOG_PROB or (name == LOGIT and name not in sites):
            found = vocabulary_logits(self.model)
            if found is None:
                raise InputError(f"{self.model.name} has no vocabulary logits, so no {name} of a token; {_listed(sites)}")
            return found, sites[found]
        if name not in sites:
            raise InputError(f"unknown site {name!r}{nearest(name, [*sites, LOGIT, LOG_PROB])}; {_listed(sites)}")
        return name, sites[name]

    def _unit(self, unit: int | str, where: str, site: Site) -> tuple[int, str | None]:
        """The index of a unit, and its name: None if an earlier unit has the same, as two tokens may."""
        index = self._index(unit, where, site) if isinstance(unit, str) else unit
        _check_index(index, site.width, where)
        name = site.names[index] if site.names else None
        return index, name if name is not None and self._first(where, site)[name] == index else None

    def _same_unit(self, index: int, name: str | None, where: str, site: Site) -> tuple[int, str | None]:
        found = self._unit(index, where, site)
        if name is not None and site.names and site.names[index] != name:
            raise InputError(
                f"unit {index} of {where} is {site.names[index]!r} in {self.model.name}, not {name!r}; give its address instead"
            )
        return found

    def _first(self, where: str, site: Site) -> dict[str, int]:
        """The first unit of each name."""
        if where not in self._indices:
            self._indices[where] = {name: i for i, name in reversed(list(enumerate(site.names)))}
        return self._indices[where]

    def _index(self, name: str, where: str, site: Site) -> int:
        if not site.names:
            raise InputError(f"the units of {where} have no names, so {name!r} is none of them; give an index from 0 to {site.width - 1}")
        first, vocabulary = self._first(where, site), self.model.vocabulary
        if name in first:
            return first[name]
        if site.width == len(vocabulary):
            parts = [vocabulary.tokens[i] for i in vocabulary.encode(name)]
            if len(parts) > 1 and not set(parts) & set(UNKNOWNS):
                raise InputError(f"{name!r} is {len(parts)} tokens, {', '.join(map(repr, parts))}; a unit of {where} is one of them")
        raise InputError(f"{where} has no unit named {name!r}{nearest(name, site.names)}")

    def _autoencoder(self, source: str | Held, where: str, site: Site) -> SparseAutoencoder:
        if source not in self._autoencoders:
            _check_states(where, site)
            found = open_autoencoder(source.value if isinstance(source, Held) else _opened(source, "its latents"))
            self._autoencoders[source] = found
        return self._autoencoders[source]

    def _direction(self, direction: Direction, where: str, site: Site) -> Direction:
        _check_states(where, site)
        what = f"the direction {direction.name!r}" + (f" in {direction.file}" if direction.file else "")
        _check_width(len(direction.vector), what, where, site)
        return direction

    def _latent(self, latent: Latent, where: str, site: Site) -> Latent:
        _check_states(where, site)
        _check_width(latent.autoencoder.encoder.shape[1], f"the autoencoder {latent.file}", where, site)
        _check_index(latent.index, len(latent.autoencoder.encoder), latent.file)
        return latent


def _function(path: str | None, units: addresses.Units) -> tuple[str, Custom]:
    if path is None or units is None or any(isinstance(unit, range) for unit in units):
        raise InputError("malformed custom target; expected custom:package.module.function#SITE,SITE")
    sites = tuple(map(str, units))
    return sites[0], Custom.imported(_opened(path, "the function"), sites)


def _opened(file: str, what: str) -> str:
    """The file, or an InputError where an address stands for an object in memory."""
    if file.startswith(MEMORY):
        raise InputError(
            f"{file} was made in memory, and an address cannot find {what} again; pass the object instead of its address, "
            "or where only addresses are taken (a study, another process) SITE:FILE.safetensors#NAME or custom:MODULE.FUNCTION#SITE"
        )
    return file


def _each(units: addresses.Units, width: int, where: str) -> Iterator[int | str]:
    """Every index and name that the units of a term stand for."""
    for unit in (range(width),) if units is None else units:
        if isinstance(unit, range):
            _check_index(unit.stop - 1, width, where)
            yield from unit
        else:
            yield unit


def _check_index(index: int, width: int, where: str) -> None:
    if not 0 <= index < width:
        raise InputError(f"unit {index} is out of range: {where} has units 0 to {width - 1}")


def _check_states(where: str, site: Site) -> None:
    if site.linear is not None:
        raise InputError(f"{where} is itself a projection; a direction or latent is read from {site.linear.source}")


def _check_width(width: int, what: str, where: str, site: Site) -> None:
    if width != site.width:
        raise InputError(f"{what} is for states of width {width}, but {where} has {site.width}; was it made for another place or model?")


def _listed(sites: Mapping[str, Site]) -> str:
    names = list(sites)
    more = f" and {len(names) - SHOWN} more; see `optigram sites`" if len(names) > SHOWN else ""
    return f"this model has {', '.join(names[:SHOWN])}{more}"
