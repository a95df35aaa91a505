"""Targets and examples of a scan in the form that other tools want."""

import hashlib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from optigram.targets.address import Address

DIGITS, LONGEST = 6, 120  # of a layer's number; characters of a folder's name


class Neuron(NamedTuple):
    """A target as other tools number it: the kind of its site, the layer (0 where there is none), and the unit's index.

    The kind is a name for a folder. No two targets of a scan have all three in common: that of a unit's lowest activations ends in
    "-negative", that of a latent names its autoencoder, and that of any other target has a hash of its address.
    """

    kind: str
    layer: int
    unit: int

    @classmethod
    def of(cls, target: str, index: int | None, number: int) -> "Neuron":
        """From an address, the index of its unit in the model, and its number in the scan, which stands for the index of no unit."""
        address = Address.parse(target)
        term = address.terms[0]
        kind, _, layer = term.site.rpartition(".")
        if not layer.isdecimal() or len(layer) > DIGITS:
            kind, layer = term.site, "0"
        if term.file is not None:
            kind += f"-{Path(term.file).name}-{_digest(term.file)}"
        if len(address.terms) > 1 or abs(term.weight) != 1 or address.pool != "last" or index is None:
            kind += f"-{_digest(target)}"
        elif term.weight < 0:
            kind += "-negative"
        return cls(Neuron.folder_name(kind), int(layer), number if index is None else index)

    @classmethod
    def all_of(cls, targets: Iterable[Mapping[str, Any]]) -> dict[str, "Neuron"]:
        """Every target of a scan, from the rows of its table `targets`."""
        return {row["target"]: cls.of(row["target"], row["index"], number) for number, row in enumerate(targets)}

    @staticmethod
    def folder_name(name: str) -> str:
        """A name that is one folder inside another: what could lead out of it, or is not allowed in a name, is replaced by a hash."""
        kept = re.sub(r"[^\w.+-]", "_", name).lstrip(".")[:LONGEST]
        return kept if kept == name else f"{kept}-{_digest(name)}"

    @staticmethod
    def tokens_of(row: Mapping[str, Any]) -> list[str]:
        """The tokens of a context as they stand in the text, each with the spaces before it; without spans, the ids as text."""
        if row["spans"] is None:
            return [str(id_) for id_ in row["ids"]]
        ends = row["spans"][1::2]
        return [row["text"][begin:end] for begin, end in zip([0, *ends], ends, strict=False)]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]
