"""The command beside a text finds it again; the commands `report` and `evidence`."""

import json
import shlex
from shutil import copytree

import pytest

import optigram as og
from optigram.models.loading import save
from optigram.report.page_data import _command
from optigram.runs.folder import RunFolder


@pytest.fixture(scope="module")
def folder(tiny, tmp_path_factory):
    place = tmp_path_factory.mktemp("place")
    save(tiny, place / "model", {})
    (place / "corpus.txt").write_text("a b c d\ne f g a b\nc c c\nd a g e\n")
    asked = {"length": 3, "corpus": str(place / "corpus.txt"), "budget": 100, "template": "a {} b", "without": ["c"], "seed": 3}
    og.find(str(place / "model"), ["visual:dog", "-language:a"], by="crp,smx", out=place / "run", **asked)
    return place / "run"


def test_the_command_of_a_record_finds_it_again(run, folder):
    kept = RunFolder.open(folder)
    for record in kept.records:
        typed = shlex.split(_command(record, kept.manifest))
        (again,) = map(json.loads, run(*typed[1:], "--json", "--quiet")[1].splitlines())
        assert (again["text"], again["activation"]) == (record.text, pytest.approx(record.activation))


def test_a_study_s_arm_says_the_budget_and_a_placebo_has_no_command(folder):
    record = RunFolder.open(folder).records[-1]
    arm = {"name": "", "budget": 70.0, "placebo": None}
    study = {"model": "m", "length": 3, "corpus": None, "words": "whole", "chat": True, "top": 2, "arms": [arm]}
    typed = _command(record, {"study": study})
    assert "--budget 70" in typed
    assert "--words whole" in typed
    assert "--chat" in typed
    assert "--top 2" in typed
    assert _command(record, {"study": study | {"arms": [arm | {"placebo": "weights"}]}}) is None


def test_report_gathers_once_and_writes_the_page(run, folder, tmp_path):
    code, _, err = run("report", folder, "-o", tmp_path / "report.html", "--title", "a <title>")
    assert code == 0
    assert "gathering" in err
    page = (tmp_path / "report.html").read_text()
    assert "a &lt;title&gt;" in page
    assert '"substitutes":' in page
    assert "gathering" not in run("report", folder, "-o", tmp_path / "report.html")[2]
    assert run("report", folder, "-o", tmp_path / "plain.html", "--plain", "--quiet")[1:] == ("", "")
    assert '"substitutes":' not in (tmp_path / "plain.html").read_text()
    assert run("evidence", folder)[0] == 0


def test_show_prints_one_neuron(run, folder):
    code, out, _ = run("show", folder, "--target", "visual:dog", "--top", 1)
    assert (code, out.count("visual:dog")) == (0, 1)
    assert len(run("show", folder, "--json")[1].splitlines()) == 4
    assert run("show", folder, "--target", "visual:cat")[0] == 2


def test_bad_folders_are_one_line_and_exit_2(run, folder, tmp_path):
    for words in (("report", tmp_path), ("evidence", tmp_path / "none")):
        code, _, err = run(*words)
        assert (code, err.count("\n")) == (2, 1)
    copytree(folder, tmp_path / "run")
    (tmp_path / "run" / "evidence.parquet").unlink(missing_ok=True)
    (folder.parent / "model").rename(folder.parent / "gone")
    code, _, err = run("report", tmp_path / "run", "--quiet")
    assert (code, err.count("\n")) == (2, 1)
    assert "--plain" in err
