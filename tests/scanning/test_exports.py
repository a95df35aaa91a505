"""What others read: the fields that they publish, and no others; a scan as the start of a search; a push without a network."""

import csv
import gzip
import json
from pathlib import Path

import pytest
import torch
from tiny_models import network

from optigram.errors import InputError
from optigram.objective.objective import Objective
from optigram.runs.find import run_methods
from optigram.runs.options import FindOptions
from optigram.runs.run import _starts_from_scan
from optigram.scanning.export.formats import export
from optigram.scanning.export.hub import push
from optigram.scanning.scan import scan
from optigram.targets.target import resolve

# neuron_explainer.activations.activations.NeuronRecord
OPENAI = {"neuron_id", "random_sample", "random_sample_by_quantile", "quantile_boundaries", "mean", "variance", "skewness", "kurtosis"}
OPENAI |= {"most_positive_activation_records"}
# neuronpedia_utils.db_models
ACTIVATION = """id tokens index layer modelId maxValue maxValueTokenIndex minValue values creatorId dataSource dataIndex dfaValues
dfaTargetIndex dfaMaxValue createdAt lossValues logitContributions binMin binMax binContains qualifyingTokenIndex zIndices zValues"""
FEATURE = """modelId layer index creatorId createdAt maxActApprox hasVector vector vectorLabel vectorDefaultSteerStrength hookName
topkCosSimIndices topkCosSimValues neuron_alignment_indices neuron_alignment_values neuron_alignment_l1 correlated_neurons_indices
correlated_neurons_pearson correlated_neurons_l1 correlated_features_indices correlated_features_pearson correlated_features_l1
neg_str neg_values pos_str pos_values frac_nonzero freq_hist_data_bar_heights freq_hist_data_bar_values
logits_hist_data_bar_heights logits_hist_data_bar_values decoder_weights_dist sourceSetName"""
SOURCE = {"id", "modelId", "setName", "creatorId", "dataset", "num_prompts", "num_tokens_in_prompt", "createdAt"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("scan")
    corpus = out / "corpus.txt"
    corpus.write_text("".join(f"two dogs play {'a café in ' * (i % 4)}the snow {i}\n" for i in range(40)))
    scan(network("gpt2"), ["mlp_act.1:3-5", "resid_post.2:7"], str(corpus), top=12, context=40, tokens=80, out=out / "run")
    return out / "run"


def found(folder):
    from optigram.scanning.results import ScanResults

    return ScanResults.load(folder)


def test_csv_has_every_example(folder, tmp_path):
    export(found(folder), "csv", tmp_path / "out.csv")
    with (tmp_path / "out.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == found(folder).examples.num_rows
    assert json.loads(rows[0]["ids"]) == found(folder).examples["ids"][0].as_py()


def test_openai_records_have_the_published_fields(folder, tmp_path):
    export(found(folder), "openai", tmp_path)
    record = json.loads((tmp_path / "mlp_act" / "1" / "4.json").read_text(encoding="utf-8"))
    assert set(record) == OPENAI
    assert record["neuron_id"] == {"layer_index": 1, "neuron_index": 4}
    top = record["most_positive_activation_records"][0]
    assert set(top) == {"tokens", "activations"}
    row = found(folder)["mlp_act.1:4"][0]
    assert "".join(top["tokens"]) == row["text"]
    assert top["activations"] == row["activations"]
    assert len(record["random_sample_by_quantile"]) == len(record["quantile_boundaries"]) + 1 == 5


def test_neuronpedia_has_the_published_fields(folder, tmp_path):
    export(found(folder), "neuronpedia", tmp_path)
    source = tmp_path / "gpt2" / "1-mlp_act"
    assert {path.name for path in source.iterdir()} == {
        *("release.jsonl", "model.jsonl", "sourceset.jsonl", "source.jsonl"),
        *("features", "activations"),
    }
    (feature, *_), activations = (
        [json.loads(line) for line in gzip.decompress((source / kind / "batch-0.jsonl.gz").read_bytes()).splitlines()]
        for kind in ("features", "activations")
    )
    assert set(feature) == set(FEATURE.split())
    assert all(set(row) == set(ACTIVATION.split()) for row in activations)
    assert len(feature["freq_hist_data_bar_heights"]) == len(feature["freq_hist_data_bar_values"])
    shown = [row for name in found(folder) if name != "resid_post.2:7" for end in ("top", "bottom") for row in found(folder).of(name, end)]
    assert len(activations) == len(shown) > 10
    assert all(row["values"][row["maxValueTokenIndex"]] == row["maxValue"] for row in activations)
    assert set(json.loads((source / "source.jsonl").read_text())) == SOURCE


def test_unknown_formats_are_refused(folder, tmp_path):
    with pytest.raises(InputError, match="expected csv, openai, neuronpedia"):
        export(found(folder), "xml", tmp_path)


def test_a_folder_is_pushed_with_a_card(folder, monkeypatch):
    import huggingface_hub

    told = {}

    class Client:
        def create_repo(self, name, repo_type, private, exist_ok):
            told["made"] = (name, repo_type, private)

        def upload_folder(self, repo_id, repo_type, folder_path, allow_patterns):
            told["files"] = sorted(path.name for path in Path(folder_path).iterdir() if path.name in allow_patterns)

    monkeypatch.setattr(huggingface_hub, "HfApi", Client)
    assert push(folder, "somebody/scan", private=True) == "https://huggingface.co/datasets/somebody/scan"
    assert told["made"] == ("somebody/scan", "dataset", True)
    assert told["files"] == ["README.md", "curve.parquet", "examples.parquet", "manifest.json", "targets.parquet"]
    assert "config_name: examples" in (folder / "README.md").read_text()
    with pytest.raises(InputError, match="no finished run"):
        push(folder / "parts", "somebody/scan")


def test_a_scan_starts_a_search_that_is_never_worse_than_its_windows(folder):
    model = network("gpt2")
    objective = Objective(model, resolve(["mlp_act.1:3", "mlp_act.1:5"], model), 3)
    starts = _starts_from_scan(str(folder), objective)
    alone = objective.score(starts.clamp(min=0)).activation.masked_fill((starts < 0).any(-1), -torch.inf).amax(1)
    (one,) = run_methods(objective, FindOptions(by="gbl", budget=300), start=starts)
    for number, record in enumerate(one.records):
        assert record.activation >= float(alone[number]) - 1e-6
    with pytest.raises(InputError, match="was not scanned"):
        _starts_from_scan(str(folder), Objective(model, resolve(["mlp_act.1:9"], model), 3))
    with pytest.raises(InputError, match="other weights"):
        _starts_from_scan(str(folder), Objective(network("pythia"), resolve(["mlp_act.1:3"], network("pythia")), 3))
