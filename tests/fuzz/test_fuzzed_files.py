"""Damaged model folders, studies, plans, parts and manifests: read, or refused in one line, and never a traceback."""

import json
import shutil

import numpy as np
import pytest
import torch
from inputs import assert_one_line, mutated, mutated_bytes, mutated_value, numbered

from optigram.errors import InputError
from optigram.models.loading import load, save
from optigram.objective.objective import Objective
from optigram.report.results import Results
from optigram.runs.find import run_methods
from optigram.runs.options import FindOptions
from optigram.scanning.merge import merged
from optigram.scanning.plan import Plan
from optigram.scanning.results import ScanFolder, ScanTables
from optigram.scanning.scan import scan
from optigram.study.spec import Study

STUDY = """name = "umbrellas"
model = "imaginet"
length = 5
seeds = [0, 1]
fluency = 0.1
surprisal = "2-6"

[[arms]]
name = "ours"
targets = ["language:umbrella", "visual:0-9"]
methods = ["crp", "smx", "gbl:fair/200"]
budget = 5000.0
placebo = "weights"
"""


def damage_json(chance, path) -> None:
    """Change a part of a JSON file, or a few of its signs or bytes."""
    data = path.read_text(encoding="utf-8")
    match chance.randint(0, 2):
        case 0:
            path.write_text(json.dumps(mutated_value(chance, json.loads(data))), encoding="utf-8")
        case 1:
            path.write_bytes(mutated(chance, data).encode("utf-8", "surrogatepass"))
        case 2:
            path.write_bytes(mutated_bytes(chance, data.encode()))


def test_a_study_is_read_or_refused(tmp_path):
    path, read = tmp_path / "study.toml", 0
    for _, chance in numbered(600, 150):
        path.write_bytes(mutated(chance, STUDY, ["inf", "nan", '"', "[[arms]]", "seeds"]).encode("utf-8", "surrogatepass"))
        try:
            found = Study.read(path)
        except InputError as error:
            assert_one_line(error)
            continue
        read += 1
        assert Study(**found.to_dict()) == found
        assert all(0 <= seed < 2**63 for seed in found.seeds)
    assert read > 10


@pytest.fixture(scope="module")
def scanned(tiny, tmp_path_factory):
    folder = tmp_path_factory.mktemp("fuzz") / "scan"
    (folder.parent / "corpus.txt").write_text("a b c\nd e f g\n" * 8)
    scan(tiny, ["visual:*", "-language:a"], folder.parent / "corpus.txt", skipped=0, top=3, out=folder, shards=2)
    return folder


def test_the_folder_of_a_scan_is_read_or_refused(scanned, tmp_path):
    """The plan, the manifest, a part or a table is damaged; a part may also stand under the name of another."""
    for number, chance in numbered(500, 80):
        folder = tmp_path / str(number)
        shutil.copytree(scanned, folder)
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        path = chance.choice(files)
        if path.suffix == ".json":
            damage_json(chance, path)
        elif chance.random() < 0.2:
            path.write_bytes(chance.choice([each for each in files if each.suffix == ".parquet"]).read_bytes())
        else:
            path.write_bytes(mutated_bytes(chance, path.read_bytes()))
        for use in (read_scan, lambda folder: merged(Plan.read(folder), folder)):
            try:
                use(folder)
            except InputError as error:
                assert_one_line(error)
        shutil.rmtree(folder)


def read_scan(folder) -> None:
    assert ScanFolder.is_in(folder) or not (folder / "plan.json").is_file()
    found = ScanTables.load(folder)
    assert repr(found)
    for target in found:
        found.of(target)


def test_a_renamed_part_is_refused(scanned, tmp_path):
    shutil.copytree(scanned, tmp_path / "scan")
    first, second = sorted((tmp_path / "scan" / "parts").iterdir())
    shutil.copy(first, second)
    with pytest.raises(InputError, match=r"shard-00001.parquet holds shard 0; remove it, and shard 1 is read again"):
        merged(Plan.read(tmp_path / "scan"), tmp_path / "scan")


def test_the_folder_of_a_run_is_read_or_refused(tiny, tmp_path):
    objective = Objective(tiny, ["visual:dog"], 2)
    found = [record for one in run_methods(objective, FindOptions(by="random", budget=50, n=3)) for record in one.records]
    Results(found, (), {"model": "tiny"}).save(tmp_path / "run")
    for number, chance in numbered(500, 100):
        folder = tmp_path / str(number)
        shutil.copytree(tmp_path / "run", folder)
        path = folder / chance.choice(["manifest.json", "records.parquet"])
        damage_json(chance, path) if path.suffix == ".json" else path.write_bytes(mutated_bytes(chance, path.read_bytes()))
        try:
            results = Results.open(folder)
            assert repr(results)
            assert all(np.isfinite(record.activation) for record in results)
        except InputError as error:
            assert_one_line(error)
        shutil.rmtree(folder)


def test_the_folder_of_a_model_is_read_or_refused(tiny, tmp_path):
    """A model that is read has the weights of the file, whatever was changed in the other files."""
    save(tiny, tmp_path / "model", {})
    own = tiny.fingerprint
    names = sorted(path.name for path in (tmp_path / "model").iterdir())
    for number, chance in numbered(500, 60):
        folder = tmp_path / str(number)
        shutil.copytree(tmp_path / "model", folder)
        path = folder / chance.choice(names)
        damage_json(chance, path) if path.suffix == ".json" else path.write_bytes(mutated_bytes(chance, path.read_bytes()))
        try:
            model = load(str(folder), device="cpu")
            assert path.suffix != ".json" or model.fingerprint == own or model.vocabulary != tiny.vocabulary
            with torch.inference_mode():
                model.read(model.embedding[torch.tensor([[3, 4]])], list(model.sites)[:1])
        except InputError as error:
            assert_one_line(error)
        shutil.rmtree(folder)
