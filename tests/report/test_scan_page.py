"""The page of a scan, alone and beside a run; the commands report and show with a scan's folder."""

import itertools
import json
import shlex
from dataclasses import replace

import pytest

from elements import Elements
from made_runs import HOSTILE, made_run, made_scan
from optigram.errors import InputError
from optigram.models.loading import save
from optigram.report.html import TARGETS, _chosen, _page, _scan_page
from optigram.report.scan_data import _bare, _command, _places


def data_of(text: str) -> dict:
    return json.loads(Elements(text).scripts[0])


@pytest.mark.parametrize("alone", [False, True])
def test_words_of_a_scan_are_text_and_never_markup(alone):
    wild, plain = made_scan(len(HOSTILE), HOSTILE, alone=alone), made_scan(len(HOSTILE), alone=alone)
    pages = [Elements(_scan_page(found, list(found), "made")) for found in (plain, wild)]
    assert pages[0].tags == pages[1].tags
    assert [name for name, _ in pages[0].attributes] == [name for name, _ in pages[1].attributes]


def test_every_target_has_the_best_and_some_of_the_rest():
    found = made_scan(3)
    neurons = data_of(_scan_page(found, list(found), "made"))["neurons"]
    assert [neuron["target"] for neuron in neurons] == list(found)
    groups = {name: len(rows) for name, rows in neurons[0]["places"]["groups"]}
    assert groups == {"top": 10, "bottom": 5, "random": 5} | {f"quantile {n} of 5": 2 for n in range(1, 6)}
    assert neurons[0]["places"]["command"] == "optigram scan tiny visual:word0 --corpus far/corpus.txt"


def test_a_place_is_its_words_and_the_values_at_them():
    found = made_scan(1)
    row = found["visual:word0"][0]
    shown = _places(found, ["visual:word0"])["visual:word0"]["groups"][0][1][0]
    assert "".join(shown["words"]) == row["text"]
    assert shown["values"] == pytest.approx(row["activations"], rel=0.01)
    assert shown["values"][shown["at"]] == pytest.approx(row["activation"], rel=0.01)
    assert shown["where"] == "corpus.txt at 77, token 28"


def test_pieces_of_one_character_are_one_word_with_the_strongest_value():
    found = made_scan(1)
    row = found["visual:word0"][0] | {"text": "a 日本", "spans": [0, 1, 2, 3, 2, 3, 3, 4], "activations": [1.0, 2.0, -5.0, 3.0]}
    row |= {"begin": 0, "position": 2, "ids": [1] * 4, "rank": 1}
    table = found.examples.from_pylist([row], schema=found.examples.schema)
    shown = _places(replace(found, examples=table), ["visual:word0"])["visual:word0"]["groups"][0][1][0]
    assert (shown["words"], shown["values"], shown["at"]) == (["a", " 日", "本"], [1.0, -5.0, 3.0], 1)


def test_the_histogram_holds_all_counts_between_lowest_and_highest():
    found = made_scan(1)
    shown = _places(found, list(found))["visual:word0"]["histogram"]
    assert sum(shown["counts"]) == sum(found.targets["histogram"][0].as_py())
    assert (shown["edges"][0], shown["edges"][-1]) == (-2.0, 12.0)
    assert shown["edges"] == sorted(shown["edges"])
    assert len(shown["edges"]) == len(shown["counts"]) + 1


def test_a_run_s_neurons_have_their_places():
    kept, evidence = made_run(4)
    neurons = data_of(_page(kept, evidence, scan=made_scan(2)))["neurons"]
    assert ["places" in neuron for neuron in neurons] == [True, True, False, False]
    assert _bare("visual:dog@max") == "visual:dog"
    assert "places" not in data_of(_page(kept, evidence))["neurons"][0]


def test_a_scan_of_another_model_or_other_neurons_is_refused():
    kept, evidence = made_run(4)
    with pytest.raises(InputError, match="none of the run's neurons"):
        _page(kept, evidence, scan=made_scan(2, site="language"))
    kept.manifest["fingerprints"] = {"model": "others"}
    with pytest.raises(InputError, match="other weights"):
        _page(kept, evidence, scan=made_scan(2))


def test_a_page_shows_so_many_targets_and_those_that_are_asked_for():
    found = made_scan(3)
    assert _chosen(found, "*word[12]") == ["visual:word1", "visual:word2"]
    assert len(_chosen(made_scan(TARGETS + 1), None)) == TARGETS
    with pytest.raises(InputError, match="such as visual:word0"):
        _chosen(found, "language:*")


def test_the_commands_of_a_scan(run, tiny, tmp_path):
    save(tiny, tmp_path / "model", {})
    corpus = tmp_path / "corpus.txt"
    corpus.write_text("a b c d\ne f g a b\nc c c\nd a g e\n")
    model, scan, found = tmp_path / "model", tmp_path / "scan", tmp_path / "found"
    assert run("scan", model, "visual:dog", "visual:cat", "--corpus", corpus, "--out", scan, "--quiet", "--fold", 0)[0] == 0
    assert run("find", model, "visual:dog", "--by", "smx", "--budget", 40, "--length", 3, "--out", found, "--quiet")[0] == 0
    assert run("report", scan, "-o", tmp_path / "scan.html")[0] == 0
    assert "visual:cat" in (tmp_path / "scan.html").read_text()
    assert run("report", found, "--scan", scan, "-o", tmp_path / "both.html")[0] == 0
    neuron = data_of((tmp_path / "both.html").read_text())["neurons"][0]
    assert neuron["texts"]
    typed = shlex.split(neuron["places"]["command"])
    assert ("--skipped", "0") in itertools.pairwise(typed)
    assert run(*typed[1:], "--json", "--quiet")[1].splitlines()
    assert "visual:dog" in run("show", scan)[1]
    for words in (
        ("report", scan, "--scan", scan),
        ("report", found, "--only", "x"),
        ("report", scan, "--only", "x"),
        ("report", found, "--scan", found),
    ):
        code, _, err = run(*words, "-o", tmp_path / "none.html")
        assert (code, err.count("\n")) == (2, 1)


def test_the_command_says_what_is_not_usual():
    scan = made_scan(1, alone=True).about["scan"]
    scan["settings"] |= {"top": 5, "special": True, "per_document": 2}
    assert _command(
        "visual:a", scan | {"dtype": "float16", "sources": [{"path": "x/optigram/models/weights/imaginet/captions.txt.gz"}]}
    ) == ("optigram scan tiny visual:a --question alone --length 5 --special --dtype float16 --per-document 2 --top 5")
