"""`og.concepts` and `optigram explain` without a text: options, both poles, files, and bad input in one line."""

import json

import pytest
import torch
from benchmarks.quality.planted import Planted

import optigram as og
from optigram.errors import InputError
from optigram.models.base import Site
from optigram.models.loading import save
from optigram.text.vocabulary import Vocabulary

CORPUS = ["a b c d", "d c b a", "e f g a b", "c c d e", "g f e d c b a"]
SMALL = {"length": 3, "budget": 60.0, "corpus": CORPUS, "quiet": True}


class Still:
    """A model that says the same of every text, or nothing that is a number."""

    name, attends, step, fingerprint = "still", False, None, "still"

    def __init__(self, value):
        self.value, self.vocabulary, self.embedding = value, Vocabulary.of_words("abcdefg"), torch.eye(10)
        self.sites = {"act": Site(2)}

    def read(self, embeds, sites, keep=None):
        return {"act": self.value + 0 * embeds[..., :2]}


@pytest.fixture(scope="module")
def found(tiny):
    return og.concepts(tiny, ["visual:dog", "language:a@max"], poles="both", **SMALL)


def test_there_is_one_evidence_per_target_and_pole(tiny, found):
    assert [(one.target, one.pole) for one in found] == [
        ("visual:dog", "max"),
        ("-visual:dog", "min"),
        ("language:a@max", "max"),
        ("-language:a@max", "min"),
    ]
    for one in found:
        assert 1 <= len(one.concepts) <= 5
        assert one.corpus == "5 texts"
        for example in one.concepts[0].examples:
            (record,) = og.score(tiny, one.target, example.text, quiet=True)
            assert record.activation == pytest.approx(example.activation, abs=1e-5)


def test_evidences_are_saved_and_printed(found, tmp_path):
    found.save(tmp_path / "found.json")
    assert og.Evidences.open(tmp_path / "found.json").to_pandas().equals(found.to_pandas())
    assert set(found.to_pandas()["target"]) == {one.target for one in found}
    assert repr(found[:1]).splitlines()[0] == "Concepts of 1 target"
    for shown in (repr(found), found._repr_html_()):
        assert all(one.concepts[0].examples[0].text in shown for one in found)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 9}', '{"format": 1, "evidences": [{"model": 3}]}'])
def test_another_file_is_refused(text, tmp_path):
    (tmp_path / "other.json").write_text(text)
    with pytest.raises(InputError, match="expected concepts"):
        og.Evidences.open(tmp_path / "other.json")
    with pytest.raises(InputError, match="cannot read"):
        og.Evidences.open(tmp_path / "missing.json")


def test_a_single_word_and_no_corpus_will_do(tiny):
    (one,) = og.concepts(tiny, "visual:dog", length=1, budget=20.0, corpus=CORPUS, quiet=True)
    assert all(len(example.text.split()) == 1 for concept in one.concepts for example in concept.examples)
    (alone,) = og.concepts(Planted(), "units:0", length=2, budget=60.0, quiet=True)
    assert alone.corpus is None
    assert alone.concepts[0].share is None
    assert alone.concepts[0].pattern.recall is None


@pytest.mark.parametrize(
    ("targets", "options", "said"),
    [
        ("visual:cheese", {}, "cheese"),
        ("visual:dog", {"corpus": []}, "corpus"),
        ("visual:dog", {"corpus": ["x y z"]}, "does not know"),
        ("visual:dog", {"template": "{1} a {2}", "length": None}, "one slot"),
        ("visual:dog", {"poles": "up"}, "poles: expected"),
        ("visual:dog", {"budget": 0}, "budget: expected"),
        ("visual:dog", {"dtype": "bfloat16"}, "dtype: expected float32"),
        ("visual:dog", {"n": 3}, "unknown option 'n'"),
    ],
)
def test_bad_input_is_refused_in_one_line(tiny, targets, options, said):
    with pytest.raises(InputError, match=said):
        og.concepts(tiny, targets, **{**SMALL, **options})


@pytest.mark.parametrize("value", [0.0, 3.0, float("nan")])
@pytest.mark.parametrize("corpus", [CORPUS, None])
def test_a_target_that_no_text_raises_is_refused(value, corpus):
    with pytest.raises(InputError, match=r"no text raises act:1|act:1 is not finite"):
        og.concepts(Still(value), "act:1", **{**SMALL, "corpus": corpus})


def test_an_interrupt_keeps_the_targets_that_are_done(tiny, monkeypatch):
    from optigram.api import searches as api

    kept, calls = api.found_concepts, []

    def once(*given):
        calls.append(given)
        if len(calls) > 1:
            raise KeyboardInterrupt
        return kept(*given)

    monkeypatch.setattr(api, "found_concepts", once)
    with pytest.raises(og.Interrupted) as stopped:
        og.concepts(tiny, ["visual:dog", "visual:cat"], **SMALL)
    assert [one.target for one in stopped.value.results] == ["visual:dog"]


def test_the_same_call_gives_the_same_evidence(tiny, found):
    again = og.concepts(tiny, "visual:dog", poles="min", **SMALL)[0].to_json()
    assert again | {"seconds": 0} == found[1].to_json() | {"seconds": 0}


def test_the_command_explains_a_neuron(run, tiny, tmp_path):
    save(tiny, tmp_path / "tiny", {})
    (tmp_path / "c.txt").write_text("\n".join(CORPUS))
    words = (tmp_path / "tiny", "visual:dog", "--length", 3, "--budget", 60, "--corpus", tmp_path / "c.txt", "--quiet")
    code, out, _ = run("explain", *words, "--save", tmp_path / "found.json")
    assert code == 0
    assert "visual:dog" in out
    assert [one.target for one in og.Evidences.open(tmp_path / "found.json")] == ["visual:dog"]
    code, out, _ = run("explain", *words, "--json")
    assert json.loads(out)["target"] == "visual:dog"
    code, _, err = run("explain", *words, "--text", "a b")
    assert (code, err.count("\n")) == (2, 1)
    assert "beside --text" in err
