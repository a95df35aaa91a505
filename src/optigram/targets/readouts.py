"""Readouts: the kinds of numbers that a target is a sum of, each with a value at every position of a text."""

import hashlib
from dataclasses import dataclass, field, replace

from torch import Tensor

from optigram.errors import InputError
from optigram.shapes import Float
from optigram.targets import address as addresses
from optigram.targets.address import CUSTOM, LOG_PROB, MEMORY, Address
from optigram.targets.custom import Custom
from optigram.targets.latent import SparseAutoencoder


@dataclass(frozen=True, eq=False)
class Held:
    """An object in memory. It equals itself alone."""

    value: object

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Held) and self.value is other.value

    def __hash__(self) -> int:
        return id(self.value)


@dataclass(frozen=True)
class Asked:
    """A unit as it was asked for, by index or name, before `resolve` looks it up in a model; `source` as FILE in an address."""

    unit: int | str
    source: str | Held | None = None


@dataclass(frozen=True)
class Unit:
    """One unit of a site, by index; `name` is the model's name for it, if it has one."""

    index: int
    name: str | None = None


@dataclass(frozen=True)
class LogProb:
    """The log probability of a token: its logit less the log of the sum of exp of all logits, in nats. The site holds the logits."""

    index: int
    name: str | None = None


@dataclass(frozen=True)
class Direction:
    """The dot product of the state with a vector [h], which is not normalised. `file` is None for a vector in memory."""

    name: str
    vector: Float[Tensor, " h"] = field(compare=False, repr=False)
    file: str | None = None
    digest: str = field(init=False, repr=False)  # of the vector: what two directions are compared by

    def __post_init__(self) -> None:
        object.__setattr__(self, "digest", hashlib.sha256(self.vector.cpu().numpy().tobytes()).hexdigest())


@dataclass(frozen=True)
class Latent:
    """One latent of a sparse autoencoder that reads the site. `file` and `index` identify it."""

    file: str
    index: int
    autoencoder: SparseAutoencoder = field(compare=False, repr=False)


@dataclass(frozen=True)
class Term:
    """A readout of a site, times a weight that is finite in float32 and not 0. The site of a custom readout is the first that it reads."""

    site: str
    readout: Asked | Unit | LogProb | Direction | Latent | Custom
    weight: float = 1.0

    def __post_init__(self) -> None:
        if not Address.holds(self.weight):
            raise InputError(f"expected a finite weight other than 0, as float32 can hold it, got {self.weight}")

    def written(self) -> addresses.Term:
        """The term as an address has it."""
        site, readout, file = self.site, self.readout, None
        match readout:
            case Asked(unit, source):
                units, file = (unit,), f"{MEMORY}{type(source.value).__name__}" if isinstance(source, Held) else source
            case Unit(index, name):
                units = (index if name is None else name,)
            case LogProb(index, name):
                site, units = LOG_PROB, (index if name is None else name,)
            case Direction():
                units, file = (readout.name,), readout.file or MEMORY + readout.digest[:8]
            case Latent(file, index):
                units = (index,)
            case Custom():
                site, units, file = CUSTOM, readout.sites, readout.file
        return addresses.Term(site, units, file, self.weight)

    def keyed(self) -> addresses.Term:
        """The term as an address has it, with a hash of the vector or of the autoencoder in place of a file and a name."""
        match self.readout:
            case Direction(digest=digest):
                return replace(self.written(), file=MEMORY + digest[:8], units=("vector",))
            case Latent(autoencoder=autoencoder):
                return replace(self.written(), file=MEMORY + autoencoder.digest)
        return self.written()
