"""Import paths: what the user names on the command line is found in the working directory; what a folder names is not run unasked."""

import sys

import pytest

import optigram as og
from optigram.errors import InputError
from optigram.scanning.worker import Worker
from optigram.study.collect import collect
from test_seams import EXAMPLES, WORDS

MODEL = f"""
from bag import Bag
from optigram.methods import Ascent
from sharpening import Sharpening

def model():
    return Bag({WORDS!r})

def relaxed():
    return Ascent(Sharpening(), steps=20, rate=0.5, restarts=2, every=10)
"""
TARGET = "custom:contrast.contrast#act"
STUDY = """
model = "own_bag:model"
corpus = "texts.txt"
length = 3
[[arms]]
name = "outside"
targets = ["custom:contrast.contrast#act", "mean:2@max"]
methods = ["crp", "climb.Climb", "crp+climb:Climb", "own_bag.relaxed"]
budget = 200
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A working directory with the examples, which is not on the path, as for the installed command."""
    for name, code in {**EXAMPLES, "own_bag": MODEL}.items():
        (tmp_path / f"{name}.py").write_text(code)
    (tmp_path / "texts.txt").write_text("a b c d\ne f g h\np o n m\n")
    (tmp_path / "study.toml").write_text(STUDY)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [part for part in sys.path if part not in ("", str(tmp_path))])
    yield tmp_path
    for name in (*EXAMPLES, "own_bag"):
        sys.modules.pop(name, None)


def test_the_command_finds_models_targets_and_methods_in_the_working_directory(here, run):
    code, out, err = run("find", "own_bag:model", TARGET, "--by", "climb.Climb", "--length", 3, "--budget", 200, "--json")
    assert code == 0, err
    assert TARGET in out
    assert str(here) not in sys.path


def test_the_examples_run_through_a_study_and_a_report(here, run):
    code, _, err = run("study", "study.toml", "--out", "out", "--workers", 0)
    assert code == 0, err
    found = og.open("out")
    assert {(record.method, record.target) for record in found} == {
        (method, target) for method in ("crp", "climb.Climb", "crp+climb:Climb", "own_bag.relaxed") for target in (TARGET, "mean:2@max")
    }
    assert run("report", "out", "--allow-imports", "--out", "page.html")[0] == 0
    page = (here / "page.html").read_text()
    assert TARGET in page
    assert og.open("out").evidence


@pytest.mark.parametrize("command", [("evidence", "run"), ("report", "run")])
def test_what_a_folder_names_is_not_imported_unasked(here, run, command):
    asked = ("--by", "crp", "--length", 3, "--corpus", "texts.txt")
    assert run("find", "own_bag:model", "mean:2", *asked, "--out", "run")[0] == 0
    for name in (*EXAMPLES, "own_bag"):
        sys.modules.pop(name, None)
    code, _, err = run(*command)
    assert code == 2
    assert "names the import path 'own_bag:model'" in err
    assert "--allow-imports" in err
    assert "own_bag" not in sys.modules
    assert len(og.open("run")) == 1
    assert "own_bag" not in sys.modules
    assert run(*command, "--allow-imports")[0] == 0


def test_a_target_of_a_foreign_run_is_not_imported_either(here):
    (here / "weights.py").write_text("raise SystemExit('imported')")
    found = og.find("imaginet", "visual:pizza", by="random", budget=50, quiet=True)
    found.save("run")
    manifest = (here / "run" / "manifest.json").read_text()
    assert "visual:pizza" in manifest
    og.Results(
        [record.__class__(**{**vars(record), "target": "custom:weights.f#visual"}) for record in found], (), found.settings, found.about
    ).save("foreign")
    with pytest.raises(InputError, match=r"custom:weights\.f#visual"):
        collect(here / "foreign")


def test_a_planned_scan_is_read_with_permission_only(here, run):
    asked = ("--question", "alone", "--length", 2, "--corpus", "texts.txt", "--plan", "--out", "scan")
    assert run("scan", "own_bag:model", TARGET, *asked)[0] == 0
    code, _, err = run("work", "scan")
    assert code == 2
    assert "--allow-imports" in err
    with pytest.raises(InputError, match="allow_imports=True"):
        Worker.start(here / "scan")
    assert run("work", "scan", "--allow-imports")[0] == 0
    assert run("merge", "scan", "--allow-imports")[0] == 0
    assert og.open("scan")[TARGET]
