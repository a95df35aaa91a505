"""Exports scan results for other tools: CSV, OpenAI's NeuronRecord JSON (automated interpretability), Neuronpedia.

The fields of a NeuronRecord are those of `neuron_explainer.activations.activations`: ActivationRecord (tokens, activations),
NeuronId (layer_index, neuron_index), NeuronRecord.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as csv

from optigram.errors import InputError
from optigram.files import written_whole
from optigram.scanning.export.rows import Neuron, finite, rows_by_target, tokens_of
from optigram.scanning.results import ScanResults

LISTS = ("ids", "activations", "spans")
WORDS = ("target", "split", "source", "text")
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "|", "%")  # what a spreadsheet runs


def _write_csv(found: ScanResults, out: Path) -> None:
    """One row per example; lists as JSON. Text that a spreadsheet would run as a formula begins with an apostrophe."""
    table = found.examples
    for name in WORDS:
        guarded = [f"'{value}" if value is not None and value.startswith(FORMULA) else value for value in table[name].to_pylist()]
        table = table.set_column(table.schema.get_field_index(name), name, pa.array(guarded, pa.string()))
    for name in LISTS:
        column = pa.array([None if value is None else json.dumps(value) for value in table[name].to_pylist()], pa.string())
        table = table.set_column(table.schema.get_field_index(name), name, column)
    with written_whole(out) as path:
        csv.write_csv(table, path)


def _write_openai(found: ScanResults, out: Path) -> None:
    """Write `LAYER/INDEX.json` per neuron, in a folder per kind of site."""
    statistics = {row["target"]: row for row in found.targets.to_pylist()}
    rows = rows_by_target(found)
    for target, neuron in Neuron.all_of(found).items():
        splits, known = rows[target], statistics[target]
        groups = [splits[name] for name in sorted(splits) if name.startswith("quantile")]
        record = {
            "neuron_id": {"layer_index": neuron.layer, "neuron_index": neuron.unit},
            "random_sample": [_activations(row) for row in splits.get("random", [])],
            "random_sample_by_quantile": [[_activations(row) for row in group] for group in groups] or None,
            "quantile_boundaries": [group[0]["activation"] for group in groups[:-1]] or None,
            **{name: finite(known[name]) for name in ("mean", "variance", "skewness", "kurtosis")},
            "most_positive_activation_records": [_activations(row) for row in splits.get("top", [])],
        }
        with written_whole(out / neuron.kind / str(neuron.layer) / f"{neuron.unit}.json") as path:
            path.write_text(json.dumps(record, ensure_ascii=False, allow_nan=False), encoding="utf-8")


def _activations(row: Mapping[str, Any]) -> dict[str, Any]:
    return {"tokens": tokens_of(row), "activations": list(map(finite, row["activations"]))}


def export(found: ScanResults, kind: str, out: Path) -> None:
    """Write scan results to `out` as "csv" (a file), "openai" or "neuronpedia" (a folder). Raises InputError."""
    from optigram.scanning.export.neuronpedia import write_neuronpedia

    writers: dict[str, Callable[[ScanResults, Path], None]] = {"csv": _write_csv, "openai": _write_openai, "neuronpedia": write_neuronpedia}
    if kind not in writers:
        raise InputError(f"expected {', '.join(writers)}, got {kind!r}")
    if kind != "csv" and found.about["scan"]["settings"]["question"] == "alone":
        raise InputError(f"expected a scan in context, for {kind} has the activations around a place, got one of n-grams alone; export csv")
    writers[kind](found, out)
