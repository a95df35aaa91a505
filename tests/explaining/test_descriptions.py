"""Descriptions of an evidence that is made by hand."""

import dataclasses

import pytest

import toy
from optigram.errors import InputError
from optigram.explaining.descriptions import describe
from optigram.explaining.evidence import Concept, Contrast, Evidence, Example, Pattern, Slot
from optigram.models.sampling import complete


def pattern(*slots, core="giraffe poking"):
    made = [Slot([(word, 5.0 - at) for at, word in enumerate(words)]) for words in slots]
    return Pattern(Example(core, 5.0, "search"), made, 0.9, 10, 0.5)


def evidence(*patterns, contrasts=()):
    concepts = [Concept([Example(one.core.text, 5.0 - at, "search")], one, 0.5) for at, one in enumerate(patterns)]
    return Evidence("toy", "resid:0", "max", concepts, contrasts, 1.0, None)


SIMPLE = evidence(pattern(["giraffe", "elephant", "bear", "cat"], ["sticking", "poking"]))


def test_a_sentence_over_slots_concepts_and_contrasts():
    (found,) = describe(SIMPLE)
    assert (found.text, found.by) == ("“giraffe”, “elephant” or “bear”, then “poking” or “sticking”", "template")
    off = Contrast("off", Example("giraffe poking", 5.0, "search"), Example("giraffe never poking", 0.0, "edit"))
    many = evidence(pattern(["kite"], [f"w{i}" for i in range(60)]), pattern(["rain"], core="rain"), contrasts=[off])
    assert describe(many)[0].text == "“kite”; or “rain”; but not with “never”"
    assert describe(many)[0].evidence is many


class Answers:
    """A server's stand-in."""

    def __init__(self, answer):
        self.answer = answer

    name = "stand-in"

    def write(self, prompt, most):
        self.prompt = prompt
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.mark.parametrize(
    ("answer", "text"),
    [('"Animals that poke."\nMore', "Animals that poke."), ("", ""), ("\n\n- animals", "animals"), ("1234", ""), ("the " * 60, "")],
)
def test_an_answer_is_cleaned_or_named_as_a_problem(monkeypatch, answer, text):
    monkeypatch.setattr("optigram.explaining.descriptions._writer", lambda source: Answers(answer))
    plain, written = describe(SIMPLE, "any")
    assert (written.text, written.by, bool(written.problem)) == (text, "stand-in", not text)
    assert plain.text
    assert "giraffe|elephant" in "\n".join(written.saw)


@pytest.mark.parametrize("writer", ["http://127.0.0.1:9/v1", "no/such/model", "a.gguf"])
def test_a_model_that_cannot_be_reached_loses_nothing(writer):
    plain, written = describe(SIMPLE, writer)
    assert plain.text
    assert (written.text, "\n" in written.problem) == ("", False)
    assert written.problem


def test_a_model_without_chat_template_writes():
    model = toy.Toy()
    model.vocabulary = dataclasses.replace(model.vocabulary, chat=None)
    _, written = describe(SIMPLE, model)
    assert written.by == "toy"
    assert written.text or written.problem


def test_the_likeliest_words_are_written():
    model, ids = toy.Toy(seed=3), [0, 5, 6]
    found = list(ids)
    for _ in range(4):
        logits = model.logits(found)[-1]
        logits[:3] = -9e9
        found.append(int(logits.argmax()))
    expected = model.vocabulary.decode(found[3:])
    if "\n" not in expected:
        assert complete(model, ids, 4) == expected.strip()


def test_a_prompt_of_ones_own(tmp_path, monkeypatch):
    asked = Answers("animals")
    monkeypatch.setattr("optigram.explaining.descriptions._writer", lambda source: asked)
    (tmp_path / "describe.txt").write_text("Say: {evidence}", encoding="utf-8")
    describe(SIMPLE, "any", tmp_path)
    assert asked.prompt.startswith("Say: giraffe poking (5.0)")
    (tmp_path / "describe.txt").write_text("Say", encoding="utf-8")
    assert "expected {evidence} in the prompt" in describe(SIMPLE, "any", tmp_path)[1].problem


def test_no_concept_is_no_evidence():
    with pytest.raises(InputError, match="at least one concept"):
        describe(evidence())


def test_slots_that_take_any_word_give_way_to_the_words_of_the_examples():
    wide = pattern([f"w{i}" for i in range(60)])
    texts = ("a red kite flies", "the kite over a beach", "a green thing")
    examples = [Example(text, 5.0 - at, "corpus") for at, text in enumerate(texts)]
    found = Evidence("toy", "resid:0", "max", [Concept(examples, wide, 0.5)], (), 1.0, None)
    assert describe(found)[0].text.startswith("“kite”")
    named = dataclasses.replace(found, concepts=[Concept(examples, pattern(["flies", "sails", "soars", "glides"]), 0.5)])
    assert describe(named)[0].text == "“flies”, “sails” or “soars”, with “kite”"
