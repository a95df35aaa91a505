"""What trials told is known to the next process, whatever is in the file, and where nothing can be written."""

import json

import pytest

from optigram.models.trials import PLACE, Trials


def asked(trials: Trials, question: str, tell=lambda: 1):
    return trials.answer(question, tell, lambda told: isinstance(told, int))


def kept_in(file) -> Trials:
    trials = Trials()
    trials.keep_in(file)
    return trials


def never():
    pytest.fail("it was tried again")


def test_answers_are_shared_by_all_that_use_a_file(tmp_path):
    file = tmp_path / "folder" / "told"
    one, other = kept_in(file), kept_in(file)
    asked(one, "a"), asked(other, "b")
    again = kept_in(file)
    assert [asked(again, question, never) for question in "ab"] == [1, 1]
    assert [path.name for path in file.parent.iterdir()] == ["told"]


@pytest.mark.parametrize("content", ["", "[1]", '{"a": "x"}', "{" * 5000])
def test_what_is_no_answer_is_tried_again(content, tmp_path):
    file = tmp_path / "told"
    file.write_text(content)
    assert asked(kept_in(file), "a") == 1
    assert json.loads(file.read_text()) == {"a": 1}


def test_where_nothing_can_be_written_answers_are_kept_in_memory(tmp_path):
    (tmp_path / "file").touch()
    trials = kept_in(tmp_path / "file" / "told")
    assert asked(trials, "a") == asked(trials, "a", never) == 1


def test_a_question_that_means_nothing_to_another_process_is_not_written(tmp_path):
    asked(kept_in(tmp_path / "told"), f"<object{PLACE}7f>")
    assert not (tmp_path / "told").exists()


def test_models_have_their_own():
    class Some:
        pass

    one, other = Some(), Some()
    assert Trials.of(one) is Trials.of(one) is not Trials.of(other)
