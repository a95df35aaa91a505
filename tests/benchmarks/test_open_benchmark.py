"""The open benchmark: a directory that any tool can use, whose scores depend on the texts alone."""

import dataclasses
import itertools
import json
import re
import subprocess
import sys

import numpy as np
import pytest
from benchmarks.open import submissions, tools
from benchmarks.open.directory import SETS, Directory
from benchmarks.open.making import make
from benchmarks.open.phrases import SPECIAL, Phrases, separation
from benchmarks.open.running import run
from benchmarks.open.scoring import rows

from benchmarks import show
from optigram.errors import InputError


def written(path, **changes):
    """A submission of one line."""
    line = {"target": "triggers/000", "seed": 0, "text": "", "forwards": 1, "seconds": 0.1} | changes
    path.write_text(json.dumps(line) + "\n", encoding="utf-8")
    return path


def test_the_directory_is_small_and_complete(open_directory):
    files = [file for file in open_directory.folder.rglob("*") if file.is_file()]
    assert sum(file.stat().st_size for file in files) < 1_000_000
    assert {target["set"] for target in open_directory.targets} == set(SETS) - {"transformers"}
    assert len({target["id"] for target in open_directory.targets}) == len(open_directory.targets)
    with pytest.raises(InputError, match="expected a new folder"):
        make(open_directory.folder, {})
    with pytest.raises(InputError, match="write one with"):
        Directory.open(open_directory.folder / "models")
    with pytest.raises(InputError, match="expected sets among"):
        open_directory.of("trigger")


def test_the_reference_agrees_with_the_objective(open_directory):
    for group in open_directory.together(open_directory.targets):
        objective = open_directory.objective(group)
        for number, target in enumerate(group):
            texts = list(open_directory.random_texts(target, 5, 3))
            ids = np.array([objective.model.vocabulary.encode(text) for text in texts])
            ours = objective.subset([number]).score(objective.lexicon.new_tensor(ids)[None]).activation[0]
            assert ours.tolist() == pytest.approx(open_directory.reference.activations(target, texts), abs=1e-5)


def test_every_optimum_is_one(open_directory):
    for target in open_directory.of("optimum"):
        texts = [" ".join(words) for words in itertools.product(open_directory.words[target["words"]], repeat=3)]
        best = max(open_directory.reference.activations(target, texts))
        assert open_directory.answers[target["id"]]["activation"] == pytest.approx(best, abs=1e-6)


def test_the_reference_runs_alone(open_directory):
    """In a process that cannot import optigram, from the directory's own copy."""
    code = "import sys; sys.modules['optigram'] = None; import runpy; del sys.argv[0]; runpy.run_path(sys.argv[0], run_name='__main__')"
    answer = open_directory.answers["optimum/001"]
    command = [sys.executable, "-c", code, str(open_directory.folder / "reference.py"), "optimum/001", answer["text"]]
    told = subprocess.run(command, check=True, capture_output=True, text=True)
    assert float(told.stdout) == pytest.approx(answer["activation"], abs=1e-6)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"text": "A B"}, "line 1: triggers/000: expected a text of 3 tokens, got 2"),
        ({"text": "A B qwertz"}, "line 1: triggers/000: expected words that the target allows, got 'qwertz'"),
        ({"target": "triggers/999"}, "line 1: expected the id of a target"),
        ({"text": 3}, "expected an object with target and text"),
        ({"forwards": -1}, "expected a number of at least 0 as forwards"),
        ({"text": "A A B", "curve": [3]}, "expected a curve of"),
    ],
)
def test_a_wrong_submission_is_refused_in_one_line(open_directory, tmp_path, changes, expected):
    first, second = open_directory.words["all"][:2]
    changes = (
        changes | {"text": changes["text"].replace("A", first).replace("B", second)} if isinstance(changes.get("text"), str) else changes
    )
    with pytest.raises(InputError, match=re.escape(expected)) as refused:
        submissions.read(written(tmp_path / "s.jsonl", **changes), open_directory)
    assert "\n" not in str(refused.value)


def test_torn_files_are_refused(open_directory, tmp_path):
    (tmp_path / "s.jsonl").write_text("{", encoding="utf-8")
    with pytest.raises(InputError, match="line 1: expected a JSON object"):
        submissions.read(tmp_path / "s.jsonl", open_directory)
    (tmp_path / "s.jsonl.gz").write_bytes(b"no gzip")
    with pytest.raises(InputError, match="expected a submission"):
        submissions.read(tmp_path / "s.jsonl.gz", open_directory)


def test_a_phrase_succeeds_and_is_recalled_and_numbers_that_are_told_count_for_nothing(open_directory, tmp_path):
    answer = open_directory.answers["triggers/000"]
    curve = [[1, answer["phrase"]], [2, 1e9]]
    file = written(tmp_path / "s.jsonl", text=answer["phrase"], activation=1e9, forwards=3, curve=curve)
    (found,) = submissions.read(file, open_directory)
    assert found.activation == answer["activation"]
    assert [value for _, value in found.curve] == [answer["activation"]] * 2
    (scores,) = submissions.score(open_directory, {"s": [found]}).values()
    assert scores["success"] == scores["recall"] == 1.0


def test_scores_are_deterministic_and_the_best_known_grows(open_directory):
    before = open_directory.best_known()
    file = open_directory.folder / "random.jsonl"
    first = rows(open_directory, [file])
    known = open_directory.best_known()
    assert all(known[name]["activation"] >= one["activation"] for name, one in before.items())
    assert set(known) == {target["id"] for target in open_directory.targets}
    assert rows(open_directory, [file]) == first
    assert [row.settings["set"] for row in first] == ["optimum", "triggers", "placebos"]
    assert all(row.metrics["gain"] is not None for row in first[:2])
    lines = file.read_text(encoding="utf-8")
    assert list(run(open_directory, open_directory.of(), "random", 40, 1, file)) == []
    assert file.read_text(encoding="utf-8") == lines


def test_the_area_is_along_the_logarithm_of_the_cost():
    assert submissions._area([(10.0, 0.5), (100.0, 1.0)], 1000.0) == pytest.approx(0.75)
    assert submissions._area([(100.0, 1.0)], 1000.0) == pytest.approx(0.5)


def test_near_misses_are_no_phrases():
    rng = np.random.default_rng(0)
    phrases = Phrases.draw(10, 20, rng)
    assert [len(phrase) for phrase in phrases.phrases] == [*range(3, 13)]
    for number, phrase in enumerate(phrases.phrases):
        near = [phrases.near(number, rng) for _ in range(20)]
        assert all(len(text) == len(phrase) and tuple(text) != phrase and min(text) >= SPECIAL for text in near)
    texts, ends = phrases.batch(30, rng)
    for row, at, number in np.argwhere(ends):
        phrase = phrases.phrases[number]
        assert tuple(texts[row, at + 1 - len(phrase) : at + 1]) == phrase
    assert separation([2.0, 1.0], [[1.9, 0.0], [0.5, 0.0]], [[0.0], [0.0]])["near_misses_below_0.9"] == 0.75


def test_the_adapter_of_the_documentation_runs(open_directory, tmp_path, monkeypatch):
    page = (show.DOCS / "open_benchmark.md").read_text(encoding="utf-8")
    (snippet,) = re.findall(r"^```py\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert len(snippet.splitlines()) <= 12
    monkeypatch.chdir(tmp_path)
    (tmp_path / "DIR").symlink_to(open_directory.folder)
    subprocess.run([sys.executable, "-c", snippet], check=True, cwd=tmp_path)
    assert len(submissions.read(tmp_path / "mine.jsonl", open_directory)) == len(open_directory.of("triggers"))


def test_other_tools_are_asked_for_what_they_can_express(open_directory, tmp_path):
    """The adapters themselves need their tools; here is what they are given: the same states, and an equal start."""
    directory = dataclasses.replace(open_directory, folder=tmp_path)
    (tmp_path / "models").symlink_to(open_directory.folder / "models")
    (tmp_path / "peers").mkdir()
    working = tools.prepared(directory, "triggers")
    import torch
    import transformers

    longer = transformers.GPT2LMHeadModel.from_pretrained(working / "blocks")
    target = open_directory.of("triggers")[1]
    asked = tools.request(open_directory, target, "gcg", "projection", 100, 0)
    ids = torch.tensor([open_directory.reference.ids_of(target, asked["start"])])
    with torch.no_grad():
        state = longer(ids, output_hidden_states=True).hidden_states[asked["layer"] + 1][0, -1]
    ours, vector = open_directory.reference._states(target, [asked["start"]], "resid_post.1")[1][0, -1], asked["direction"]
    assert torch.allclose(state, ours, atol=1e-5)
    assert vector == target["direction"]
