"""Studies run in cells, may be killed, go on, and end with the same records."""

import dataclasses
import functools
import json
import math
import shutil

import pytest
import torch
from safetensors.torch import save_file

from optigram.errors import InputError
from optigram.methods import paper
from optigram.methods.ascent import Ascent
from optigram.models import loading
from optigram.models.imaginet import Imaginet
from optigram.optimize.checkpoint import Checkpoint
from optigram.runs.find import run_methods
from optigram.runs.options import FindOptions
from optigram.runs.records import RecordFile
from optigram.study.cells import StudyContext
from optigram.study.estimate import estimate
from optigram.study.runner import CELLS, run_study
from optigram.study.spec import Arm, Study

TIMES = ("seconds",)


@pytest.fixture(scope="module", autouse=True)
def _short_fair_runs():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(paper, "EPOCHS", 50)
        yield


@pytest.fixture(scope="module")
def folder(tiny, tmp_path_factory):
    path = tmp_path_factory.mktemp("model")
    loading.save(tiny, path, {})
    return path


@pytest.fixture(scope="module")
def study(folder, tmp_path_factory) -> Study:
    corpus = tmp_path_factory.mktemp("corpus") / "corpus.txt"
    corpus.write_text("a b c d\ne f g a b\nc c c\nd a g e\n")
    plain = Arm(name="plain", targets=("language:3-5", "visual:*"), methods=("crp", "emb", "gbl"), budget=100)
    random = Arm(name="random", targets=("language:a,b",), methods=("crp", "smx:fair/200"), budget=300, placebo="directions")
    return Study(name="s", model=str(folder), corpus=str(corpus), length=3, seeds=(0, 1), arms=(plain, random))


def timeless(records):
    return [dataclasses.replace(record, seconds=0.0) for record in records]


@pytest.fixture(scope="module")
def undisturbed(study, tmp_path_factory):
    out = tmp_path_factory.mktemp("undisturbed")
    return timeless(run_study(study, StudyContext(study), out, workers=0)), out


def test_every_arm_method_seed_and_target_has_its_record(study, undisturbed):
    records, out = undisturbed
    units = 3 + 3  # of both paths
    found = {(record.arm, record.method, record.seed) for record in records}
    assert len(records) == units * (1 + 2 + 2) + 2 * (1 + 2)  # corpus search needs one seed only
    assert ("plain", "crp", 1) not in found
    assert ("random", "smx:fair/200", 1) in found
    assert timeless(RecordFile.read(out / "records.parquet")) == records


def test_records_are_those_of_find(study, undisturbed):
    context = StudyContext(study)
    objective = context.objective("plain", ["visual:dog"])
    (direct,) = run_methods(objective, FindOptions(by="gbl", budget=100, seed=1))
    same = [r for r in undisturbed[0] if (r.arm, r.method, r.seed, r.target) == ("plain", "gbl", 1, "visual:dog")]
    assert [dataclasses.replace(record, arm="plain", seconds=0.0) for record in direct.records] == same


def test_a_study_counts_repetition_and_asks_for_a_second_opinion(study, folder):
    arm = Arm(name="plain", targets=("language:*",), methods=("gbl",), budget=200)
    context = StudyContext(study.model_copy(update={"repetition": 0.5, "second_opinion": str(folder), "arms": (arm,)}))
    (record, *_) = context.run(context.cells()[0])
    assert context.objective("plain", ["language:a"]).fluency.repetition == 0.5
    assert record.notes["second_surprisal"] == pytest.approx(record.surprisal, abs=1e-5)


def test_lost_cells_are_done_again_and_no_others(study, undisturbed, tmp_path):
    context = StudyContext(study)
    cells = context.cells()
    out = tmp_path / "out"
    shutil.copytree(undisturbed[1], out)
    lost = [out / CELLS / cell.file for cell in cells[::3]]
    for path in lost:
        path.unlink()
    before = {path: path.stat().st_mtime_ns for path in (out / CELLS).iterdir()}
    assert len(context.missing(out / CELLS)) == len(lost)
    assert timeless(run_study(study, StudyContext(study), out, workers=0)) == undisturbed[0]
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in before.items())


def test_another_study_in_the_folder_is_refused_with_the_difference(study, undisturbed):
    changed = study.model_copy(update={"length": 2})
    with pytest.raises(InputError, match=r"holds another study .study.length: 3 -> 2.*name another folder"):
        run_study(changed, StudyContext(changed), undisturbed[1], workers=0)
    manifest = json.loads((undisturbed[1] / "manifest.json").read_text())
    assert set(manifest) == {"format", "study", "fingerprints", "versions", "device"}


def test_a_study_of_an_older_format_is_refused_with_the_version_that_made_it(study, undisturbed, tmp_path):
    manifest = json.loads((undisturbed[1] / "manifest.json").read_text())
    del manifest["format"]
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(InputError, match=r"written by optigram .* older format, not optigram-study-2; run the same again"):
        run_study(study, StudyContext(study), tmp_path, workers=0)


def test_a_cell_is_named_by_what_a_file_of_directions_holds(study, tmp_path):
    file = tmp_path / "probe.safetensors"
    arm = Arm(name="plain", targets=(f"visual.hidden:{file}#probe",), methods=("gbl",), budget=100)
    context, keys = StudyContext(study.model_copy(update={"arms": (arm,), "seeds": (0,)})), []
    for scale in (1.0, 1.0, 2.0):
        save_file({"probe": torch.full((8,), scale)}, file)
        keys += [cell.key for cell in context.cells()]
    assert keys[0] == keys[1] != keys[2]


def test_a_killed_cell_goes_on_from_its_checkpoint(study, undisturbed, tmp_path, monkeypatch):
    monkeypatch.setattr("optigram.study.runner.Checkpoint", functools.partial(Checkpoint, seconds=0.0))
    step, taken = Ascent._stepped, []

    def fragile(self, climb, number):
        taken.append(number)
        if len(taken) == 30:
            raise SystemExit
        return step(self, climb, number)

    monkeypatch.setattr(Ascent, "_stepped", fragile)
    with pytest.raises(SystemExit):
        run_study(study, StudyContext(study), tmp_path, workers=0)
    (left,) = (tmp_path / CELLS).glob("*.checkpoint")
    assert timeless(run_study(study, StudyContext(study), tmp_path, workers=0)) == undisturbed[0]
    assert not left.exists()
    assert taken[30] > 0


def test_a_long_run_has_a_cell_for_each_target_so_that_all_processes_have_work(study):
    arm = Arm(name="long", targets=("visual:*",), methods=("crp", "smx:faithful", "gbl:faithful"))
    cells = StudyContext(study.model_copy(update={"arms": (arm,), "seeds": (0,)}), "cpu").cells()
    sizes = {name: {len(cell.targets) for cell in cells if cell.method == name} for name in arm.methods}
    assert sizes["gbl:faithful"] == {1} != sizes["smx:faithful"] == sizes["crp"]


def test_bad_targets_are_told_before_any_work(study, tmp_path):
    wrong = study.model_copy(update={"arms": (study.arms[0].model_copy(update={"targets": ("visual:dgo",)}),)})
    with pytest.raises(InputError, match=r"dgo.*did you mean dog"):
        StudyContext(wrong).cells()


def test_the_plan_names_what_each_method_costs(study, undisturbed):
    context = StudyContext(study)
    rows = estimate(context, context.cells())
    assert [(row.arm, row.method) for row in rows] == [(arm.name, name) for arm in study.arms for name in arm.methods]
    spent = {(record.arm, record.method): record.forwards + record.backwards for record in undisturbed[0]}
    for row in rows:
        assert row.seconds > 0
        if row.method != "crp":  # whose prefixes are shared
            assert spent[row.arm, row.method] == pytest.approx(row.forwards, rel=0.15)


def test_the_arithmetic_of_a_method_is_its_meter(study, undisturbed):
    plan = StudyContext(study).plan("random", "smx:fair/200")
    record = next(record for record in undisturbed[0] if record.method == "smx:fair/200")
    assert record.forwards + record.backwards == pytest.approx(plan.method.cost(math.inf), rel=0.01)


def test_placebo_directions_have_the_norms_of_neurons(tiny):
    made = Imaginet.placebo_of(tiny, "directions")
    for path in ("language", "visual"):
        ours, theirs = (model.sites[path].linear.weight for model in (made, tiny))
        assert ours.norm(dim=1).numpy() == pytest.approx(theirs.norm(dim=1).numpy(), rel=1e-5)
        assert abs((ours * theirs).sum(1) / theirs.norm(dim=1) ** 2).max() < 0.99
    assert (made.embedding == tiny.embedding).all()
    assert made.name == "tiny (random directions)"


def test_placebo_weights_are_new_and_always_the_same(tiny):
    one, two = Imaginet.placebo_of(tiny, "weights"), Imaginet.placebo_of(tiny, "weights")
    assert (one.embedding == two.embedding).all()
    assert (one.embedding != tiny.embedding).any()
