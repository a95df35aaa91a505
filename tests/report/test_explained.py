"""Explanations on a run's page: concepts, patterns, contrasts and tested descriptions, whose words are text and never markup."""

import json
from dataclasses import replace

import pytest

from elements import Elements
from made_runs import HOSTILE, made_explained, made_run
from optigram.errors import InputError
from optigram.explaining.descriptions import describe
from optigram.explaining.labels import Labels
from optigram.report.evidences import Evidences
from optigram.report.explained import WORDS, Explained
from optigram.report.html import _page, write_report
from optigram.report.results import Results


def page_of(count, words=None, explained=True):
    given = (count,) if words is None else (count, words)
    return _page(*made_run(*given), explained=Explained.of(made_explained(*given)) if explained else None)


def neurons(page):
    return json.loads(Elements(page).scripts[0])["neurons"]


def test_words_of_a_model_are_text_and_never_markup():
    """Hostile tokens stand in texts, slots, contrasts, descriptions and counterexamples."""
    page = page_of(len(HOSTILE), HOSTILE)
    plain, wild = Elements(page_of(len(HOSTILE))), Elements(page)
    assert wild.tags == plain.tags
    assert [name for name, _ in wild.attributes] == [name for name, _ in plain.attributes]
    assert not [name for name, _ in wild.attributes if name.startswith("on")]
    known = [one["explained"] for one in neurons(page)]
    assert "<script>alert" in known[0]["tests"][0]["text"]
    assert "<img" in json.dumps(known[0]["evidences"][0]["concepts"][0]["pattern"]["slots"])
    assert "</script>" in json.dumps([one["tests"][0]["counterexamples"] for one in known])
    assert not set("\u202e\u200f\u2028").intersection(json.dumps(known, ensure_ascii=False))


def test_320_explained_neurons_by_five_methods_take_less_than_4_megabytes(tmp_path):
    write_report(*made_run(320), tmp_path / "report.html", explained=Explained.of(made_explained(320)))
    assert (tmp_path / "report.html").stat().st_size < 4e6


def test_a_neuron_has_its_concepts_and_its_tests_and_the_others_have_no_frames():
    known, tested = made_explained(2)
    made = neurons(_page(*made_run(3), explained=Explained.of([known[0], tested[1]])))
    assert [sorted(one.get("explained", {})) for one in made] == [["evidences"], ["tests"], []]
    slot = made[0]["explained"]["evidences"][0]["concepts"][0]["pattern"]["slots"][0]
    assert (slot["count"], len(slot["words"])) == (48, WORDS)
    (prediction,) = made[1]["explained"]["tests"][0]["predictions"]
    assert (prediction["detection"], prediction["gain"], prediction["examples"]) == ([0.9, 0.8, 0.97], 0.35, None)
    assert "explained" not in json.dumps(neurons(page_of(2, explained=False)))


def test_the_lowest_pole_stands_beside_the_highest():
    (one,), _ = made_explained(1)
    low = replace(one, target=f"-{one.target}", pole="min")
    made = neurons(_page(*made_run(1), explained=Explained.of([low, one])))[0]["explained"]["evidences"]
    assert [each["title"] for each in made] == ["lowest", ""]


def test_files_of_explain_describe_and_verify_are_read(tmp_path):
    known, tested = made_explained(3)
    Evidences(tuple(known)).save(tmp_path / "concepts.json")
    (tmp_path / "lines.json").write_text("".join(json.dumps(one.to_json()) + "\n" for one in known))
    said = {"target": known[0].target, "text": "said by nobody", "by": "template", "problem": "", "saw": []}
    (tmp_path / "descriptions.jsonl").write_text(json.dumps(said) + "\n" + json.dumps(said | {"text": ""}) + "\n")
    for one in tested:
        Labels.append(tmp_path / "tests.jsonl", one)
    with (tmp_path / "tests.jsonl").open("a") as file:
        file.write('{"model": "ti')  # the run was stopped here
    whole = Explained.of([tmp_path / name for name in ("concepts.json", "descriptions.jsonl", "tests.jsonl")])
    assert (len(whole.evidences), len(whole.descriptions), len(whole.verifications)) == (3, 1, 3)
    assert [one.to_json() for one in Explained.of(tmp_path / "lines.json").evidences] == [one.to_json() for one in whole.evidences]
    assert Explained.of(Evidences(tuple(known))).evidences == list(known)
    assert Explained.of(describe(known[0])).descriptions[0][2] == "template"


def test_what_explains_nothing_is_refused_in_one_line(tmp_path):
    (one,), _ = made_explained(1)
    results = Results(made_run(1)[0].records)
    for other in (replace(one, model="other"), replace(one, target="visual:nothing")):
        with pytest.raises(
            InputError, match="none of the run's neurons is explained, such as visual:word0 of tiny; the explanations are of"
        ):
            results.report(tmp_path / "page.html", explanations=other)
    (tmp_path / "a.json").write_text("[1, 2]\n")
    (tmp_path / "b.json").write_text('{"target": "visual:word0"}\n')
    for given in (3, {"a": 1}, tmp_path / "a.json", tmp_path / "b.json", tmp_path / "none"):
        with pytest.raises(InputError) as refused:
            results.report(tmp_path / "page.html", explanations=given)
        assert "\n" not in str(refused.value)
    assert not (tmp_path / "page.html").exists()


def test_the_command_takes_files_of_explanations(run, tmp_path):
    kept, _ = made_run(2)
    Results(kept.records, settings=kept.manifest["settings"]).save(tmp_path / "run")
    known, _ = made_explained(2)
    Evidences(tuple(known)).save(tmp_path / "concepts.json")
    options = ("--plain", "-o", tmp_path / "report.html", "--quiet")
    assert run("report", tmp_path / "run", "--explanations", tmp_path / "concepts.json", *options)[0] == 0
    assert neurons((tmp_path / "report.html").read_text())[1]["explained"]["evidences"][0]["height"] == pytest.approx(
        known[1].maximum, abs=1e-3
    )
    code, _, err = run("report", tmp_path / "run", "--explanations", tmp_path / "run" / "run.json", *options)
    assert (code, err.count("\n")) == (2, 1)
