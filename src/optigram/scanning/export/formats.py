"""Exports scan results for other tools: CSV, OpenAI's NeuronRecord JSON (automated interpretability), Neuronpedia.

The fields of a NeuronRecord are those of `neuron_explainer.activations.activations`: ActivationRecord (tokens, activations),
NeuronId (layer_index, neuron_index), NeuronRecord.
"""

import datetime
import functools
import gzip
import hashlib
import itertools
import json
import math
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as csv

from optigram.errors import InputError
from optigram.files import written_whole
from optigram.scanning.export.added import Added
from optigram.scanning.export.rows import Neuron
from optigram.scanning.results import ScanTables

COLUMNS = ("ids", "activations", "spans")  # lists, which are JSON in a CSV
WORDS = ("target", "split", "source", "text")
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "|", "%")  # what a spreadsheet runs
CREATOR = "optigram"
BATCH = 256  # targets in a file
LISTS = (
    *("topkCosSimIndices", "topkCosSimValues", "neuron_alignment_indices", "neuron_alignment_values", "neuron_alignment_l1"),
    *("correlated_neurons_indices", "correlated_neurons_pearson", "correlated_neurons_l1", "correlated_features_indices"),
    *("correlated_features_pearson", "correlated_features_l1", "neg_str", "neg_values", "pos_str", "pos_values"),
    *("logits_hist_data_bar_heights", "logits_hist_data_bar_values", "decoder_weights_dist"),
)
NONE = ("dataIndex", "dfaTargetIndex", "dfaMaxValue", "logitContributions", "binMin", "binMax", "binContains", "zIndices", "zValues")


def _write_csv(found: ScanTables, out: Path) -> None:
    """One row per example; lists as JSON. Text that a spreadsheet would run as a formula begins with an apostrophe."""
    table = found.examples
    for name in WORDS:
        guarded = [f"'{value}" if value is not None and value.startswith(FORMULA) else value for value in table[name].to_pylist()]
        table = table.set_column(table.schema.get_field_index(name), name, pa.array(guarded, pa.string()))
    for name in COLUMNS:
        column = pa.array([None if value is None else json.dumps(value) for value in table[name].to_pylist()], pa.string())
        table = table.set_column(table.schema.get_field_index(name), name, column)
    with written_whole(out) as path:
        csv.write_csv(table, path)


def _write_openai(found: ScanTables, out: Path) -> None:
    """Write `LAYER/INDEX.json` per neuron, in a folder per kind of site."""
    statistics = {row["target"]: row for row in found.targets.to_pylist()}
    rows = _rows_by_target(found)
    for target, neuron in Neuron.all_of(statistics.values()).items():
        splits, known = rows[target], statistics[target]
        groups = [splits[name] for name in sorted(splits) if name.startswith("quantile")]
        record = {
            "neuron_id": {"layer_index": neuron.layer, "neuron_index": neuron.unit},
            "random_sample": [_activations(row) for row in splits.get("random", [])],
            "random_sample_by_quantile": [[_activations(row) for row in group] for group in groups] or None,
            "quantile_boundaries": [group[0]["activation"] for group in groups[:-1]] or None,
            **{name: _finite(known[name]) for name in ("mean", "variance", "skewness", "kurtosis")},
            "most_positive_activation_records": [_activations(row) for row in splits.get("top", [])],
        }
        with written_whole(out / neuron.kind / str(neuron.layer) / f"{neuron.unit}.json") as path:
            path.write_text(json.dumps(record, ensure_ascii=False, allow_nan=False), encoding="utf-8")


def _activations(row: Mapping[str, Any]) -> dict[str, Any]:
    return {"tokens": Neuron.tokens_of(row), "activations": list(map(_finite, row["activations"]))}


def export(found: ScanTables, kind: str, out: Path, added: Added | None = None) -> None:
    """Write scan results to `out` as "csv" (a file), "openai" or "neuronpedia" (a folder), the last also with what is `added`.

    Raises InputError.
    """
    writers: dict[str, Callable[[ScanTables, Path], None]] = {
        "csv": _write_csv,
        "openai": _write_openai,
        "neuronpedia": functools.partial(_write_neuronpedia, added=added or Added()),
    }
    if added is not None and kind != "neuronpedia":
        raise InputError(f"expected neuronpedia, which has fields for optimized texts and descriptions, got {kind!r}; leave them out")
    if kind not in writers:
        raise InputError(f"expected {', '.join(writers)}, got {kind!r}")
    if kind != "csv" and found.about["scan"]["settings"]["question"] == "alone":
        raise InputError(f"expected a scan in context, for {kind} has the activations around a place, got one of n-grams alone; export csv")
    writers[kind](found, out)


def _write_neuronpedia(found: ScanTables, out: Path, added: Added) -> None:
    """Write `out/MODEL/SOURCE/` for each site that was scanned."""
    now = datetime.datetime.now(datetime.UTC).isoformat()
    model = Neuron.folder_name(Path(found.about["scan"]["model"]).name)
    sites: dict[tuple[str, int], list[tuple[str, Neuron]]] = {}
    rows, statistics = _rows_by_target(found), {row["target"]: row for row in found.targets.to_pylist()}
    for target, neuron in Neuron.all_of(statistics.values()).items():
        sites.setdefault((neuron.kind, neuron.layer), []).append((target, neuron))
    for (kind, layer), targets in sites.items():
        source = f"{layer}-{kind}"
        folder = out / model / source
        for name, row in _about(found, model, source, kind, now).items():
            _lines(folder / f"{name}.jsonl", [row])
        neurons = dict(targets)
        names = list(neurons)
        for number, start in enumerate(range(0, len(names), BATCH)):
            some = names[start : start + BATCH]
            features = (_feature(statistics[target], model, source, neurons[target], now) for target in some)
            shown = ((target, row) for target in some for split in ("top", "bottom") for row in rows[target].get(split, []))
            optimal = ((target, Added.example(record)) for target in some for record in added.texts_of(target))
            both = itertools.chain(optimal, shown)
            activations = (_activation(row, model, source, neurons[target], now) for target, row in both)
            _lines(folder / "features" / f"batch-{number}.jsonl.gz", features)
            _lines(folder / "activations" / f"batch-{number}.jsonl.gz", activations)
            made = {"creatorId": CREATOR, "createdAt": now}
            pairs = [(target, one) for target in some for one in added.explanations_of(target)]
            if pairs:
                told = (Added.explanation(one, model, source, neurons[target], made) for target, one in pairs)
                _lines(folder / "explanations" / f"batch-{number}.jsonl.gz", told)


def _about(found: ScanTables, model: str, source: str, kind: str, now: str) -> dict[str, dict[str, Any]]:
    corpus = ", ".join(Path(part["path"]).name for part in found.about["scan"]["sources"])
    context = found.about["scan"]["settings"]["context"]
    made = {"creatorId": CREATOR, "createdAt": now}
    return {
        "release": {"name": f"{model}-{CREATOR}", "description": f"{model}, scanned by optigram", "creatorName": CREATOR, **made},
        "model": {"id": model, "instruct": False, "displayName": model, "displayNameShort": model, "updatedAt": now, **made},
        "sourceset": {
            "modelId": model,
            "name": kind,
            "creatorName": CREATOR,
            "releaseName": f"{model}-{CREATOR}",
            "visibility": "PUBLIC",
            **made,
        },
        "source": {
            "id": source,
            "modelId": model,
            "setName": kind,
            "dataset": corpus,
            "num_prompts": found.about["documents"],
            "num_tokens_in_prompt": context,
            **made,
        },
    }


def _feature(known: Mapping[str, Any], model: str, source: str, neuron: Neuron, now: str) -> dict[str, Any]:
    edges = known["edges"]
    return {
        "modelId": model,
        "layer": source,
        "index": str(neuron.unit),
        "creatorId": CREATOR,
        "createdAt": now,
        "maxActApprox": known["highest"],
        "hasVector": False,
        "vector": [],
        "vectorLabel": None,
        "vectorDefaultSteerStrength": 10,
        "hookName": None,
        "frac_nonzero": _finite(known["above_zero"]),
        "freq_hist_data_bar_heights": known["histogram"],
        "freq_hist_data_bar_values": [edges[0], *edges],
        "sourceSetName": neuron.kind,
        **{name: [] for name in LISTS},
    }


def _activation(row: Mapping[str, Any], model: str, source: str, neuron: Neuron, now: str) -> dict[str, Any]:
    place = row["position"] - row["begin"]
    values = list(map(_finite, row["activations"]))
    known = [value for value in values if value is not None]
    name = f"{model} {row['target']} {row['split']} {row['rank']} {row['document']} {row['position']}"
    return {
        "id": "c" + hashlib.sha256(name.encode()).hexdigest()[:24],
        "tokens": Neuron.tokens_of(row),
        "index": str(neuron.unit),
        "layer": source,
        "modelId": model,
        "maxValue": max(known),
        "maxValueTokenIndex": values.index(max(known)),
        "minValue": min(known),
        "values": values,
        "creatorId": CREATOR,
        "createdAt": now,
        "dataSource": row["split"],
        "qualifyingTokenIndex": place,
        "dfaValues": [],
        "lossValues": [],
        **dict.fromkeys(NONE),
    }


def _lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write a JSON object per line, compressed if the name ends in .gz."""
    with written_whole(path) as temporary:
        data = "".join(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n" for row in rows).encode()
        temporary.write_bytes(gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)


def _rows_by_target(found: ScanTables) -> dict[str, dict[str, list[dict[str, Any]]]]:
    """The examples of each target and split, by rank."""
    rows: dict[str, dict[str, list[dict[str, Any]]]] = {target: {} for target in found}
    for row in found.examples.sort_by([("target", "ascending"), ("rank", "ascending")]).to_pylist():
        rows.setdefault(row["target"], {}).setdefault(row["split"], []).append(row)
    return rows


def _finite(value: float | None) -> float | None:
    """The value; None where it is not known, NaN or infinite, which JSON cannot say."""
    return value if value is not None and math.isfinite(value) else None
