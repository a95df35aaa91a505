"""Targets and examples of a scan in the form that other tools want."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from optigram.targets.address import Address


class Neuron(NamedTuple):
    """A target as other tools number it: the kind of its site, the layer (0 where there is none), and the unit's index."""

    kind: str
    layer: int
    unit: int

    @classmethod
    def of(cls, target: str, number: int) -> "Neuron":
        """From an address such as `mlp_act.5:137`; a target without an index gets `number`."""
        terms = Address.parse(target).terms
        site, units = terms[0].site, terms[0].units
        kind, _, layer = site.rpartition(".")
        index = units[0] if len(terms) == 1 and units is not None and isinstance(units[0], int) else number
        return cls(kind, int(layer), index) if layer.isdecimal() else cls(site, 0, index)


def tokens_of(row: Mapping[str, Any]) -> list[str]:
    """The tokens of a context as they stand in the text, each with the spaces before it; without spans, the ids as text."""
    if row["spans"] is None:
        return [str(id_) for id_ in row["ids"]]
    ends = row["spans"][1::2]
    return [row["text"][begin:end] for begin, end in zip([0, *ends], ends, strict=False)]
