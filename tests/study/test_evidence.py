"""Evidence: scores of texts that differ in one word, and of the corpus, against scoring them one by one."""

import json

import numpy as np
import pytest
import torch

import optigram as og
from optigram.errors import InputError
from optigram.models import loading
from optigram.objective.objective import Objective
from optigram.runs import ablation as neighbours
from optigram.runs.ablation import with_others, without_each
from optigram.runs.corpus_stats import CorpusStatistics
from optigram.runs.folder import MANIFEST, RECORDS, RUN_FORMAT, STUDY_FORMAT, RunFolder
from optigram.study.cells import StudyContext
from optigram.study.collect import _writes, collect
from optigram.study.evidence import Evidence
from optigram.study.runner import run_study
from optigram.study.spec import Arm, Study
from optigram.targets.target import resolve
from optigram.text.ngrams import NGrams
from optigram.text.sources import open_corpus
from optigram.text.template import Template


def judged(model, targets, template, text):
    return Objective(model, targets, len(text), template).score(torch.tensor([[text]])).activation[:, 0]


@pytest.mark.parametrize("around", ["{}", "a {} b", "a {2} b {1}"])
def test_without_each_leaves_one_word_out(tiny, around):
    targets = resolve(["language:a", "visual:dog@max", "visual.hidden:0@2"], tiny)
    template = Template.parse(around, tiny.vocabulary)
    texts = torch.tensor([[[3, 4, 5], [6, 6, 7]]]).expand(3, -1, -1)
    found = without_each(Objective(tiny, targets, 3, template), texts)
    fixed = {"{}": ([], [], []), "a {} b": ([3], [], [4]), "a {2} b {1}": ([3], [4], [])}[around]
    for c, text in enumerate(texts[0].tolist()):
        for place in range(3):
            cut = 2 if around.startswith("a {2}") else 3
            parts = [[word for i, word in enumerate(text) if i != place and i in span] for span in (range(cut), range(cut, 3))]
            whole = [*fixed[0], *parts[0], *fixed[1], *parts[1], *fixed[2]]
            lasting = 3 if len(whole) > 2 else 2
            expected = judged(tiny, targets[:lasting], Template(), whole)
            torch.testing.assert_close(found[:lasting, c, place], expected)
            assert found[lasting:, c, place].isnan().all()


def test_of_one_word_nothing_is_left(tiny):
    objective = Objective(tiny, resolve(["language:a"], tiny), 1)
    assert without_each(objective, torch.tensor([[[3]]])).isnan().all()


def test_with_others_tries_every_word(objective):
    ids = torch.tensor([[3, 4, 5]]).repeat(len(objective.targets), 1)
    found, tried = with_others(objective, ids, 4)
    assert tried == 7
    for place in range(3):
        texts = ids[0].repeat(7, 1)
        texts[:, place] = objective.lexicon
        values = objective.score(texts[None]).activation
        for member, row in enumerate(values.tolist()):
            others = sorted((value for word, value in zip(range(3, 10), row, strict=True) if word != ids[0, place]), reverse=True)
            assert [value for _, value in found[member][place]] == pytest.approx(others[:4], abs=1e-5)


def test_a_large_vocabulary_is_tried_along_the_gradient(objective, monkeypatch):
    ids = torch.tensor([[3, 4, 5]]).repeat(len(objective.targets), 1)
    monkeypatch.setattr(neighbours, "ALL", 6)
    monkeypatch.setattr(neighbours, "SHORTLIST", 7)  # all words, by another way
    some, tried = with_others(objective, ids, 3)
    monkeypatch.undo()
    every, _ = with_others(objective, ids, 3)
    assert tried == 7
    assert [[[round(value, 4) for _, value in place] for place in one] for one in some] == [
        [[round(value, 4) for _, value in place] for place in one] for one in every
    ]


def test_the_corpus_is_judged_whole(objective, every_text):
    found = CorpusStatistics.of(objective, every_text)
    values = objective.score(torch.from_numpy(every_text)[None]).activation.numpy()
    assert found.sizes == [256, 343]
    np.testing.assert_allclose(found.best[:, -1], values.max(1), rtol=1e-5)
    assert (found.best[:, 0] <= found.best[:, 1]).all()
    assert (found.counts.sum(1) == 343).all()
    for row, shown in enumerate(found.shown):
        tops = [ids for share, ids, _ in shown if share == 0]
        assert tops[0] == every_text[values[row].argmax()].tolist()
        assert all(len(set(ids) - set(other)) >= 2 for i, ids in enumerate(tops) for other in tops[:i])
        for share, ids, value in shown:
            assert value == pytest.approx(values[row][(every_text == ids).all(1)][0], abs=1e-5)
            assert share == 0 or (values[row] > value + 1e-5).mean() <= share + 1e-9


def test_contexts_are_those_of_the_first_sentence(tiny, objective):
    corpus = open_corpus(["a b", "g a b c d", "a b c"])
    known = NGrams.read(corpus.texts(), tiny.vocabulary, 3, objective.lexicon.numpy())
    assert known.in_context([[3, 4, 5]], corpus.texts(), objective.model.vocabulary) == {(3, 4, 5): ("g", "d")}


@pytest.fixture(scope="module")
def model(tiny, tmp_path_factory):
    path = tmp_path_factory.mktemp("model")
    loading.save(tiny, path, {})
    return str(path)


@pytest.fixture
def corpus(tmp_path):
    path = tmp_path / "corpus.txt"
    path.write_text("a b c d\ne f g a b\nc c c\nd a g e\n")
    return str(path)


def test_evidence_of_a_run_survives_the_disk(model, corpus, tmp_path):
    options = {"by": "crp,auto", "length": 3, "corpus": corpus, "budget": 200, "n": 2, "template": "a {} b"}
    og.find(model, ["visual:dog", "-language:a"], out=tmp_path / "run", **options)
    rows = collect(tmp_path / "run")
    assert [row.target for row in rows] == ["visual:dog", "-language:a"]
    assert [len(row.heats) for row in rows] == [4, 4]
    for row in rows:
        assert len(row.substitutes) == 15
        top = max(
            (record for record in RunFolder.open(tmp_path / "run").records if record.target == row.target), key=lambda r: r.activation
        )
        heat = next(heat for heat in row.heats if (heat.method, heat.rank) == (top.method, top.rank))
        assert " ".join(heat.words) == top.text
    again = Evidence.read(tmp_path / "run")
    Evidence.write(again, tmp_path / "copy")
    assert Evidence.read(tmp_path / "copy") == again
    assert [row.target for row in again] == [row.target for row in rows]


def test_evidence_of_a_study_reads_placebos_too(model, corpus, tmp_path):
    arms = (
        Arm(name="plain", targets=("visual:*",), methods=("crp", "gbl"), budget=200),
        Arm(name="random", targets=("visual:dog",), methods=("crp",), placebo="directions"),
    )
    study = Study(name="s", model=model, corpus=corpus, length=3, seeds=(0, 1), arms=arms)
    run_study(study, StudyContext(study), tmp_path / "out", workers=0)
    (tmp_path / "out" / RECORDS).unlink()  # as if it had been killed at the end
    assert not RunFolder.open(tmp_path / "out").whole
    rows = collect(tmp_path / "out")
    assert len({row.model for row in rows}) == 2
    assert [row.target for row in rows] == ["visual:cat", "visual:dog", "visual:traffic light", "visual:dog"]
    assert rows[1].best != rows[3].best


def test_another_model_is_refused(model, corpus, tmp_path):
    og.find(model, "visual:dog", by="crp", length=3, corpus=corpus, out=tmp_path / "run")
    manifest = json.loads((tmp_path / "run" / MANIFEST).read_text())
    manifest["fingerprints"]["model"] = "0"
    (tmp_path / "run" / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(InputError, match="other weights"):
        collect(tmp_path / "run")


@pytest.mark.parametrize("text", [None, "no json", "[]", '{"other": 1}'])
def test_a_folder_without_a_run_is_refused(tmp_path, text):
    if text is not None:
        (tmp_path / MANIFEST).write_text(text)
    with pytest.raises(InputError):
        RunFolder.open(tmp_path)


def test_a_folder_without_records_is_refused(tmp_path):
    (tmp_path / MANIFEST).write_text(json.dumps({"format": STUDY_FORMAT, "study": {"arms": []}}))
    with pytest.raises(InputError, match="no records yet"):
        RunFolder.open(tmp_path)


def test_broken_records_are_named(tmp_path):
    (tmp_path / MANIFEST).write_text(json.dumps({"format": RUN_FORMAT, "settings": {}}))
    (tmp_path / RECORDS).write_text("nothing")
    with pytest.raises(InputError, match="cannot read the records"):
        RunFolder.open(tmp_path)


@pytest.mark.parametrize("found", [{}, {"format": "optigram-run-1"}])
def test_a_run_of_another_format_is_refused_with_the_version_that_made_it(tmp_path, found):
    (tmp_path / MANIFEST).write_text(json.dumps({"settings": {}, "versions": {"optigram": "0.1.0"}} | found))
    with pytest.raises(InputError, match=r"written by optigram 0\.1\.0 in .*, not optigram-run-2; run the same again into a new folder"):
        RunFolder.open(tmp_path)


def test_what_a_unit_writes_is_kept_by_words_highest_and_lowest_first(objective):
    """`-language.hidden:3@max` adds the negative of a column of the projection to the logits of the 7 words and 3 special tokens."""
    model, found = objective.model, _writes(objective, len(objective.targets) - 1)
    column = -model.sites["language"].linear.weight[:, 3]
    ordered = [model.vocabulary.tokens[i] for i in column.argsort(descending=True).tolist()]
    assert [one["word"] for one in found] == ordered[:5] + ordered[:-6:-1]
    assert found[0]["logit"] == pytest.approx(float(column.max()))
    assert _writes(objective, 0) == []
