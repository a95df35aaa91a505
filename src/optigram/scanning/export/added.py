"""What a Neuronpedia export has beside a scan: optimized texts, and descriptions with what tests of them found."""

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from optigram.scanning.export.rows import Neuron
from optigram.targets.address import Address

OPTIMIZED = "optigram optimized"  # `dataSource` of a text that was optimized
TESTED = "optigram verify"  # `typeName` of a description


@dataclass(frozen=True)
class Added:
    """`optimized` are records of a search as mappings (target, tokens, activation, method), `descriptions` what `optigram verify` wrote.

    Both name targets by their addresses; those of other targets than the scan's are left out, and the pool does not count.
    """

    optimized: Sequence[Mapping[str, Any]] = ()
    descriptions: Sequence[Mapping[str, Any]] = ()

    def texts_of(self, target: str) -> Iterable[Mapping[str, Any]]:
        """Optimized texts of a target, best first. Only those read at the last position: at the highest it is not known which that is."""
        found = [one for one in self.optimized if _plain(one["target"]) == _plain(target) and Address.parse(one["target"]).pool == "last"]
        return sorted(found, key=lambda one: -one["activation"])

    def explanations_of(self, target: str) -> Iterable[Mapping[str, Any]]:
        """Descriptions of a target."""
        return (one for one in self.descriptions if _plain(one["target"]) == _plain(target))

    @staticmethod
    def explanation(given: Mapping[str, Any], model: str, source: str, neuron: Neuron, made: Mapping[str, Any]) -> dict[str, Any]:
        """A row of `explanations`: the fields of Neuronpedia's Explanation; `notes` holds in JSON all that the tests found."""
        name = f"{model} {source} {neuron.unit} {given['description']}"
        return {
            "id": _digest(name),
            "modelId": model,
            "layer": source,
            "index": str(neuron.unit),
            "description": given["description"],
            "authorId": made["creatorId"],
            "triggeredByUserId": None,
            "notes": json.dumps(given, ensure_ascii=False),
            "scoreV1": 0,
            "scoreV2": given.get("gain"),
            "typeName": TESTED,
            "explanationModelName": None,
            "createdAt": made["createdAt"],
            "updatedAt": made["createdAt"],
        }

    @staticmethod
    def example(record: Mapping[str, Any]) -> dict[str, Any]:
        """A record as a row of a scan's examples: the activation at its last token, and none at the others, which were not read."""
        tokens = list(record["tokens"])
        ends: list[int] = []
        for token in tokens:
            ends += [ends[-1] if ends else 0, (ends[-1] if ends else 0) + len(token)]
        return {
            "target": record["target"],
            "split": OPTIMIZED,
            "rank": record.get("rank", 1),
            "document": record.get("method", ""),
            "position": len(tokens) - 1,
            "begin": 0,
            "text": "".join(tokens),
            "ids": list(range(len(tokens))),
            "spans": ends,
            "activations": [None] * (len(tokens) - 1) + [record["activation"]],
        }


def _plain(target: str) -> str:
    """An address without its pool."""
    return str(dataclasses.replace(Address.parse(target), pool="last"))


def _digest(name: str) -> str:
    return "c" + hashlib.sha256(name.encode()).hexdigest()[:24]
