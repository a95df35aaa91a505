"""Many descriptions: their file, and results that a later call reads again."""

import json
import math

import pytest
from planted import Planted, corpus, knowing

from optigram.errors import InputError
from optigram.explaining.labels import Labels
from optigram.explaining.verification import Verification
from optigram.explaining.verify import verify
from optigram.targets.target import resolve


@pytest.fixture(scope="module")
def found():
    model = Planted()
    pairs = [(resolve("act:0", model)[0], "animal"), (resolve("act:0", model)[0], "fruit")]
    return list(verify(model, pairs, knowing, corpus(60), 200))


def test_results_are_read_as_they_were_written(found, tmp_path):
    out = tmp_path / "new" / "labels.jsonl"
    for one in found:
        Labels.append(out, one)
    kept = Labels.finished(out, "planted", 0)
    assert list(kept) == [("act:0@max", "animal"), ("act:0@max", "fruit")]
    for one, other in zip(found, kept.values(), strict=True):
        assert json.dumps(one.to_json()) == json.dumps(other.to_json())
        assert other.rows() == one.rows()
    assert Labels.finished(out, "another", 0) == Labels.finished(out, "planted", 1) == {}


def test_a_line_that_was_cut_off_is_tested_again(found, tmp_path):
    out = tmp_path / "labels.jsonl"
    for one in found:
        Labels.append(out, one)
    whole = out.read_bytes()
    out.write_bytes(whole[:-50])
    assert list(Labels.finished(out, "planted", 0)) == [("act:0@max", "animal")]
    Labels.append(out, found[1])
    assert out.read_bytes() == whole


def test_what_was_asked_for_otherwise_is_named(tmp_path, found):
    out, how = tmp_path / "labels.jsonl", {"judge": None, "corpus": "a.txt", "budget": 100.0}
    Labels.append(out, found[0], how)
    assert len(Labels.finished(out, "planted", 0, how)) == 1
    with pytest.raises(InputError, match=r"asked for otherwise \(judge: the default -> lexical; budget: 100.0 -> 50\); name another file"):
        Labels.finished(out, "planted", 0, {"judge": ["lexical"], "corpus": "a.txt", "budget": 50})
    Labels.append(out, found[1])  # as written before
    assert len(Labels.finished(out, "planted", 0, how)) == 2


@pytest.mark.parametrize("line", ["{}\n", "nothing\n", '{"model": 1}\n', "[]\n"])
def test_another_file_is_refused(tmp_path, line):
    (tmp_path / "other.jsonl").write_text(line)
    with pytest.raises(InputError, match=r"line 1 of .* name another file"):
        Labels.finished(tmp_path / "other.jsonl", "planted", 0)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("target,label\na:1,x\n", "expected the columns target and description in .*, got target, label"),
        ("", "got none"),
        ("target,description\n", "has no row"),
        ("target,description\na:1,\n", "in line 2"),
        ("target,description\na:1\n", "in line 2"),
        ('target,description\na:1,"x\n', "cannot read"),
    ],
)
def test_a_file_without_what_is_needed_is_refused(tmp_path, text, said):
    (tmp_path / "labels.csv").write_text(text)
    with pytest.raises(InputError, match=said):
        Labels.read(tmp_path / "labels.csv")
    with pytest.raises(InputError, match="cannot read"):
        Labels.read(tmp_path / "missing.csv")


def test_a_file_of_another_model_is_refused(tmp_path):
    path = tmp_path / "labels.csv"
    path.write_text("model,target,description\nhub/toy,a:1,x\n,a:2,y\n")
    for model in (None, "toy", "/somewhere/toy/model"):
        assert Labels.read(path, model).pairs == [("a:1", "x"), ("a:2", "y")]
    with pytest.raises(InputError, match=r"expected descriptions of other, got one of hub/toy in line 2 of .*; give a file of its own"):
        Labels.read(path, "other")


def test_a_table_and_a_page_escape_what_they_show(found):
    one = found[0]
    evil = Verification.of_json(
        one.to_json() | {"description": "<b>\u202e x", "best": {"text": "<script>", "activation": 1.0, "source": "search"}}
    )
    assert "<script>" not in evil._repr_html_()
    assert "<b>\u202e" not in evil._repr_html_()
    assert "&lt;script&gt;" in evil._repr_html_()


def test_a_data_frame_has_a_row_per_counterexample(found):
    right, wrong = (one.to_pandas() for one in found)
    assert (len(right), right["text"][0]) == (1, None)
    assert len(wrong) == len(found[1].counterexamples) > 0
    assert not math.isnan(wrong["activation"][0])
