"""What a scan found, in the formats of others: CSV, and the NeuronRecord JSON of OpenAI's automated interpretability.

The fields of a NeuronRecord are those of `neuron_explainer.activations.activations`: ActivationRecord (tokens, activations),
NeuronId (layer_index, neuron_index), NeuronRecord.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.csv as csv

from optigram.addresses import Address
from optigram.errors import InputError
from optigram.files import written_whole
from optigram.scanning.findings import Findings

LISTS = ("ids", "activations", "spans")


class Neuron(NamedTuple):
    """A target as other tools number it: the kind of its site, the layer (0 where there is none), and the unit's index."""

    kind: str
    layer: int
    unit: int

    @classmethod
    def of(cls, target: str, number: int) -> "Neuron":
        """From an address such as `mlp_act.5:137`; what has no index is numbered."""
        terms = Address.parse(target).terms
        site, units = terms[0].site, terms[0].units
        kind, _, layer = site.rpartition(".")
        index = units[0] if len(terms) == 1 and units is not None and isinstance(units[0], int) else number
        return cls(kind, int(layer), index) if layer.isdecimal() else cls(site, 0, index)


def rows_by_target(found: Findings) -> dict[str, dict[str, list[dict[str, Any]]]]:
    """The examples of each target and split, by rank."""
    rows: dict[str, dict[str, list[dict[str, Any]]]] = {target: {} for target in found}
    for row in found.examples.sort_by([("target", "ascending"), ("rank", "ascending")]).to_pylist():
        rows[row["target"]].setdefault(row["split"], []).append(row)
    return rows


def tokens_of(row: Mapping[str, Any]) -> list[str]:
    """The tokens of a window as the text has them, each with the blanks before it; where spans are not known, the ids as text."""
    if row["spans"] is None:
        return [str(id_) for id_ in row["ids"]]
    ends = row["spans"][1::2]
    return [row["text"][begin:end] for begin, end in zip([0, *ends], ends, strict=False)]


def write_csv(found: Findings, out: Path) -> None:
    """One row an example; lists as JSON."""
    table = found.examples
    for name in LISTS:
        column = pa.array([None if value is None else json.dumps(value) for value in table[name].to_pylist()], pa.string())
        table = table.set_column(table.schema.get_field_index(name), name, column)
    with written_whole(out) as path:
        csv.write_csv(table, path)


def write_openai(found: Findings, out: Path) -> None:
    """`LAYER/INDEX.json` for each neuron, in a folder for each kind of site."""
    statistics = {row["target"]: row for row in found.targets.to_pylist()}
    for number, (target, splits) in enumerate(rows_by_target(found).items()):
        neuron, known = Neuron.of(target, number), statistics[target]
        groups = [splits[name] for name in sorted(splits) if name.startswith("quantile")]
        record = {
            "neuron_id": {"layer_index": neuron.layer, "neuron_index": neuron.unit},
            "random_sample": [_activations(row) for row in splits.get("random", [])],
            "random_sample_by_quantile": [[_activations(row) for row in group] for group in groups] or None,
            "quantile_boundaries": [group[0]["activation"] for group in groups[:-1]] or None,
            "mean": known["mean"],
            "variance": known["variance"],
            "skewness": known["skewness"],
            "kurtosis": known["kurtosis"],
            "most_positive_activation_records": [_activations(row) for row in splits.get("top", [])],
        }
        with written_whole(out / neuron.kind / str(neuron.layer) / f"{neuron.unit}.json") as path:
            path.write_text(json.dumps(record, ensure_ascii=False), encoding="utf-8")


def in_groups(items: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    """Some at a time."""
    yield from (items[start : start + size] for start in range(0, len(items), size))


def _activations(row: Mapping[str, Any]) -> dict[str, Any]:
    return {"tokens": tokens_of(row), "activations": row["activations"]}


def export(found: Findings, kind: str, out: Path) -> None:
    """Write what was found as "csv" (a file), "openai" or "neuronpedia" (a folder). Raises InputError."""
    from optigram.scanning.neuronpedia import write_neuronpedia

    writers: dict[str, Callable[[Findings, Path], None]] = {"csv": write_csv, "openai": write_openai, "neuronpedia": write_neuronpedia}
    if kind not in writers:
        raise InputError(f"expected {', '.join(writers)}, got {kind!r}")
    if kind != "csv" and found.about["scan"]["settings"]["question"] == "alone":
        raise InputError(f"{kind} wants the activations around a place, which n-grams that were judged alone have not; export csv")
    writers[kind](found, out)
