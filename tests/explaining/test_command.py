"""`optigram verify`: one description, many, and what is wrong in a line."""

import json

import pytest
from planted import corpus

from optigram.explaining.evidence import Concept, Evidence, Example, Pattern, Slot
from optigram.report.evidences import Evidences

ASK = ("verify", "planted:planted", "--judge", "lexical", "--budget", "40", "--quiet")


@pytest.fixture
def texts(tmp_path):
    (tmp_path / "texts.txt").write_text("\n".join(corpus(60)))
    return tmp_path / "texts.txt"


def test_one_description(run, texts):
    code, out, err = run(*ASK, "act:0", "--label", "animals", "--corpus", texts)
    assert (code, err) == (0, "")
    assert "act:0@max: animals" in out
    assert "detection" in out


def test_many_go_on_where_they_were_stopped(run, texts, tmp_path):
    labels, out = tmp_path / "labels.csv", tmp_path / "labels.jsonl"
    labels.write_text('target,description\nact:0,animals\nact:1,"fruit, red"\n')
    asked = (*ASK, "--label", labels, "--corpus", texts, "--out", out, "--json")
    code, first, err = run(*asked)
    assert (code, err) == (0, "")
    kept = out.read_text()
    assert [json.loads(line)["description"] for line in kept.splitlines()] == ["animals", "fruit, red"]
    out.write_text(kept.splitlines(keepends=True)[0])
    assert run(*asked)[1].splitlines()[0] == first.splitlines()[0]
    again = [json.loads(line) for line in out.read_text().splitlines()]
    assert [one["counterexamples"] for one in again] == [json.loads(line)["counterexamples"] for line in kept.splitlines()]


def test_an_evidence_is_described_and_tested(run, texts, tmp_path):
    kept, core = tmp_path / "evidence.json", Example("dog", 1.0, "search")
    pattern = Pattern(core, [Slot([("dog", 1.0), ("cat", 1.0)])], 1.0, 2, None)
    Evidences((Evidence("planted", "act:0", "max", [Concept([core], pattern, None)], [], 1.0, None),)).save(kept)
    code, told, err = run("describe", kept, "--json", "--by", "http://127.0.0.1:9/v1")
    plain, written = map(json.loads, told.splitlines())
    assert (plain["model"], plain["target"]) == ("planted", "act:0")
    assert (code, err, plain["text"], plain["problem"], written["text"]) == (0, "", "“dog” or “cat”", "", "")
    assert "cannot reach a language model" in written["problem"]
    code, told, err = run(*ASK, "act:0", "--evidence", kept, "--corpus", texts, "--json")
    assert (code, err, json.loads(told)["description"]) == (0, "", plain["text"])
    code, _, err = run(*ASK, "act:1", "--evidence", kept, "--corpus", texts)
    assert (code, "of which there is evidence" in err) == (2, True)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("act:0",), "a description with at least one word"),
        (("act:0", "--label", "the of"), "a description with at least one word"),
        (("--label", "animals"), "one target and --label TEXT"),
        (("act:0", "act:1", "--label", "animals"), "got 2 targets"),
        (("act:0-3", "--label", "animals"), "one neuron per description"),
        (("act:0", "--label", "missing.csv"), "no target beside --label FILE.csv"),
        (("--label", "missing.csv"), "cannot read missing.csv"),
        (("--label", "other.csv"), "expected descriptions of planted, got one of gpt2 in line 2 of other.csv"),
        (("act:0", "--label", "animals", "--budget", "0"), "at least 1 forward-equivalent"),
        (("act:0", "--label", "animals", "--judge", "http://127.0.0.1:9/v1"), "cannot reach a language model"),
        (("act:0", "--labels", "animals"), "no such option"),
    ],
)
def test_what_is_wrong_is_one_line(run, texts, words, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "other.csv").write_text("model,target,description\ngpt2,act:0,animals\n")
    code, _, err = run(*ASK, "--corpus", texts, *words)
    assert (code, err.count("\n")) == (2, 1)
    assert said in err
