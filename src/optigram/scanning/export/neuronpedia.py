"""Neuronpedia's bulk import: a folder per source with release, model, sourceset and source, features and activations.

The fields are those of `neuronpedia_utils.db_models`, as SAEDashboard's `neuronpedia_export.py` writes them. What a scan does
not know (logits, neighbours, vectors) has the default of the schema.
"""

import datetime
import gzip
import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from optigram.files import written_whole
from optigram.scanning.export.rows import Neuron, finite, folder_name, rows_by_target, tokens_of
from optigram.scanning.results import ScanResults

CREATOR = "optigram"
BATCH = 256  # targets in a file
LISTS = (
    *("topkCosSimIndices", "topkCosSimValues", "neuron_alignment_indices", "neuron_alignment_values", "neuron_alignment_l1"),
    *("correlated_neurons_indices", "correlated_neurons_pearson", "correlated_neurons_l1", "correlated_features_indices"),
    *("correlated_features_pearson", "correlated_features_l1", "neg_str", "neg_values", "pos_str", "pos_values"),
    *("logits_hist_data_bar_heights", "logits_hist_data_bar_values", "decoder_weights_dist"),
)
NONE = ("dataIndex", "dfaTargetIndex", "dfaMaxValue", "logitContributions", "binMin", "binMax", "binContains", "zIndices", "zValues")


def write_neuronpedia(found: ScanResults, out: Path) -> None:
    """Write `out/MODEL/SOURCE/` for each site that was scanned."""
    now = datetime.datetime.now(datetime.UTC).isoformat()
    model = folder_name(Path(found.about["scan"]["model"]).name)
    sites: dict[tuple[str, int], list[tuple[str, Neuron]]] = {}
    for target, neuron in Neuron.all_of(found).items():
        sites.setdefault((neuron.kind, neuron.layer), []).append((target, neuron))
    rows, statistics = rows_by_target(found), {row["target"]: row for row in found.targets.to_pylist()}
    for (kind, layer), targets in sites.items():
        source = f"{layer}-{kind}"
        folder = out / model / source
        for name, row in _about(found, model, source, kind, now).items():
            _lines(folder / f"{name}.jsonl", [row])
        names, numbered = [target for target, _ in targets], dict(targets)
        for number, start in enumerate(range(0, len(names), BATCH)):
            some = names[start : start + BATCH]
            features = (_feature(statistics[target], model, source, numbered[target], now) for target in some)
            shown = ((target, row) for target in some for split in ("top", "bottom") for row in rows[target].get(split, []))
            activations = (_activation(row, model, source, numbered[target], now) for target, row in shown)
            _lines(folder / "features" / f"batch-{number}.jsonl.gz", features)
            _lines(folder / "activations" / f"batch-{number}.jsonl.gz", activations)


def _about(found: ScanResults, model: str, source: str, kind: str, now: str) -> dict[str, dict[str, Any]]:
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
        "frac_nonzero": finite(known["above_zero"]),
        "freq_hist_data_bar_heights": known["histogram"],
        "freq_hist_data_bar_values": [edges[0], *edges],
        "sourceSetName": neuron.kind,
        **{name: [] for name in LISTS},
    }


def _activation(row: Mapping[str, Any], model: str, source: str, neuron: Neuron, now: str) -> dict[str, Any]:
    place = row["position"] - row["begin"]
    values = list(map(finite, row["activations"]))
    known = [value for value in values if value is not None]
    name = f"{model} {row['target']} {row['split']} {row['rank']} {row['document']} {row['position']}"
    return {
        "id": "c" + hashlib.sha256(name.encode()).hexdigest()[:24],
        "tokens": tokens_of(row),
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
