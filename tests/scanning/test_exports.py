"""What others read: the fields that they publish, and no others; a scan as the start of a search; a push without a network."""

import csv
import gzip
import json
from pathlib import Path

import pyarrow as pa
import pytest
import torch
from tiny_models import network

from optigram.errors import InputError
from optigram.objective.objective import Objective
from optigram.runs.find import run_methods
from optigram.runs.options import FindOptions
from optigram.runs.run import _starts_from_scan
from optigram.scanning.export.added import Added
from optigram.scanning.export.formats import export
from optigram.scanning.export.hub import push
from optigram.scanning.results import ScanTables
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
# of Neuronpedia's table Explanation, without what its server makes
EXPLANATION = """id modelId layer index description authorId triggeredByUserId notes scoreV1 scoreV2 typeName explanationModelName createdAt
updatedAt"""
SOURCE = {"id", "modelId", "setName", "creatorId", "dataset", "num_prompts", "num_tokens_in_prompt", "createdAt"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("scan")
    corpus = out / "corpus.txt"
    corpus.write_text("".join(f"two dogs play {'a café in ' * (i % 4)}the snow {i}\n" for i in range(40)))
    scan(network("gpt2"), ["mlp_act.1:3-5", "resid_post.2:7"], str(corpus), top=12, context=40, tokens=80, out=out / "run")
    return out / "run"


def found(folder):
    return ScanTables.load(folder)


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


def test_neuronpedia_gets_optimized_texts_and_descriptions(folder, tmp_path):
    """Rows of the same fields, under the index of the neuron; a text read at its highest position has no position, and is left out."""
    text = {"target": "mlp_act.1:4", "tokens": ["two", " dogs"], "activation": 9.0, "method": "gbl", "rank": 1}
    label = {"target": "mlp_act.1:4@max", "description": "dogs", "gain": 0.3, "counterexamples": []}
    added = Added([text, text | {"target": "mlp_act.1:4@max"}, text | {"target": "mlp_act.1:0"}], [label])
    export(found(folder), "neuronpedia", tmp_path, added)
    source = tmp_path / "gpt2" / "1-mlp_act"
    explanations, activations = (
        [json.loads(line) for line in gzip.decompress((source / kind / "batch-0.jsonl.gz").read_bytes()).splitlines()]
        for kind in ("explanations", "activations")
    )
    (told,), (optimal,) = explanations, [row for row in activations if row["dataSource"] == "optigram optimized"]
    assert set(optimal) == set(ACTIVATION.split())
    assert (optimal["index"], optimal["tokens"], optimal["values"]) == ("4", ["two", " dogs"], [None, 9.0])
    assert (told["index"], told["description"], told["scoreV2"], told["typeName"]) == ("4", "dogs", 0.3, "optigram verify")
    assert set(told) == set(EXPLANATION.split())
    assert json.loads(told["notes"]) == label
    assert not (tmp_path / "gpt2" / "2-resid_post" / "explanations").exists()
    with pytest.raises(InputError, match="expected neuronpedia"):
        export(found(folder), "openai", tmp_path, added)


def test_every_target_has_a_file_of_its_own_under_its_index(tiny, tmp_path):
    """Both poles, names, weights, sums and pools; a named unit under its index and not its place in the scan."""
    asked = [
        "visual:dog",
        "-visual:dog",
        "visual:0",
        "2*visual:dog",
        "visual:dog - visual:cat",
        "language:c",
        "log_prob:c",
        "visual.hidden:1",
    ]
    scanned = scan(tiny, asked, ["a b c d e f g"] * 4, skipped=0)
    index = dict(zip(scanned, scanned.targets["index"].to_pylist(), strict=True))
    assert sorted(index) == sorted(["visual:cat" if target == "visual:0" else target for target in asked])
    assert [index[target] for target in ("visual:dog", "-visual:dog", "language:c", "visual.hidden:1")] == [1, 1, 5, 1]
    assert index["visual:dog - visual:cat"] is None
    assert scan(tiny, ["visual:dog@max", "-language:a@max"], ["a b c"], skipped=0).targets["index"].to_pylist() == [1, 3]
    export(scanned, "openai", tmp_path / "openai")
    found = {
        path.relative_to(tmp_path / "openai").as_posix(): json.loads(path.read_text()) for path in (tmp_path / "openai").rglob("*.json")
    }
    assert len(found) == len(asked)
    assert {"visual/0/1.json", "visual-negative/0/1.json", "visual/0/0.json", "language/0/5.json", "log_prob/0/5.json"} < set(found)
    assert {record["neuron_id"]["neuron_index"] for record in found.values()} >= {0, 1, 5}
    (high, low) = (found[f"{name}/0/1.json"]["most_positive_activation_records"][0] for name in ("visual", "visual-negative"))
    assert max(high["activations"]) == scanned["visual:dog"][0]["activation"]
    assert max(low["activations"]) == scanned["-visual:dog"][0]["activation"]
    export(scanned, "neuronpedia", tmp_path / "neuronpedia")
    sources = [path.name for path in (tmp_path / "neuronpedia" / "tiny").iterdir()]
    assert len(sources) == 7
    assert "0-visual-negative" in sources


@pytest.mark.parametrize("kind", ["openai", "neuronpedia"])
@pytest.mark.parametrize("target", ["../../../x:7", "OUTSIDE/x.3:7", "..:7", "-../x.4:2", "a.5:../../y#3", "x" * 300 + ".1:2"])
def test_a_foreign_scan_writes_nothing_outside_the_folder(folder, tmp_path, kind, target):
    good, target = found(folder), target.replace("OUTSIDE", str(tmp_path))
    renamed = dict.fromkeys(list(good)[:1], target)
    tables = []
    for table in (good.examples, good.targets, good.curve):
        names = [renamed.get(name, name) for name in table["target"].to_pylist()]
        tables.append(table.set_column(table.schema.get_field_index("target"), "target", pa.array(names)))
    about = good.about | {"scan": good.about["scan"] | {"model": ".."}}
    out = tmp_path / "a" / "b" / "out"
    export(ScanTables(about, *tables), kind, out)
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert written
    assert all(path.is_relative_to(out) for path in written)


def test_a_spreadsheet_runs_nothing_of_a_csv(tiny, tmp_path):
    formulas = ["=1+1 a", "+a", "-a b", "@a", "\ta", "'a", "a=b"]
    export(scan(tiny, "-visual:dog", formulas, skipped=0, question="alone", length=1, fold=0), "csv", tmp_path / "out.csv")
    with (tmp_path / "out.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {row["target"] for row in rows} == {"'-visual:dog"}
    for row in rows:
        assert not row["text"].startswith(("=", "+", "-", "@", "\t"))
        assert float(row["activation"]) < 10


def test_a_csv_guards_what_looks_like_a_formula(folder, tmp_path):
    good = found(folder)
    texts = pa.array([f"{'=+-@'[i % 4]}{text}" for i, text in enumerate(good.examples["text"].to_pylist())])
    changed = good.examples.set_column(good.examples.schema.get_field_index("text"), "text", texts)
    export(ScanTables(good.about, changed, good.targets, good.curve), "csv", tmp_path / "out.csv")
    with (tmp_path / "out.csv").open(newline="", encoding="utf-8") as file:
        assert [row["text"] for row in csv.DictReader(file)] == [f"'{text}" for text in texts.to_pylist()]


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
