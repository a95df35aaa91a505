"""What can be targeted in a model, with an address to copy, and the names that other tools have for it."""

from collections.abc import Iterator
from dataclasses import dataclass

from optigram.models.base import Model
from optigram.models.sites import Sites
from optigram.targets.build import neuron

SHOWN = 5  # names of units


@dataclass(frozen=True)
class _SiteEntry:
    """A site: how many units it has, the first of their names, and an address. `path` and `transformer_lens` may be empty."""

    site: str
    units: int
    names: tuple[str, ...]
    address: str
    path: str
    transformer_lens: str


def list_sites(model: Model) -> Iterator[_SiteEntry]:
    """Every site once, under its shortest name."""
    seen = set()
    for name, site in model.sites.items():
        known = Sites.aliases(model, name)
        path = known.get("module", "")
        if path in seen:
            continue
        seen |= {path} - {""}
        shown = [unit for unit in site.names if unit.replace(" ", "").isalpha()]
        unit = shown[0] if shown else None
        example = site.names.index(unit) if unit is not None else 0
        address = str(neuron(name, example if unit is None else unit))
        yield _SiteEntry(name, site.width, tuple(shown[:SHOWN]), address, path, known.get("transformer_lens", ""))
