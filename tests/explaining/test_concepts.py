"""Concepts of a model whose rules are known; every activation is the judge's; bad input is refused in one line."""

import numpy as np
import pytest
from benchmarks.quality.planted import Planted, evidence_of, quality

import optigram as og
from optigram.explaining.clusters import Kinds
from optigram.explaining.exact import Exact, Scale
from optigram.explaining.slots import Patterns
from optigram.objective.objective import Objective

UNITS = (0, 8, 14, 21, 26, 27)  # a class, a bigram, "A after B", two concepts, two negations


@pytest.fixture(scope="module")
def planted():
    return Planted()


@pytest.fixture(scope="module")
def evidences(planted):
    return {unit: evidence_of(planted, unit, budget=1200, sentences=1000) for unit in UNITS}


@pytest.mark.parametrize("unit", UNITS)
def test_the_rule_of_a_unit_is_found(planted, evidences, unit):
    found = quality(evidences[unit], planted.rules[unit])
    assert found["right"]
    assert found["precision"] >= 0.9
    assert found["recall"] >= 0.9


def test_every_figure_is_the_judges(planted, evidences):
    for unit, evidence in evidences.items():
        shown = [example for concept in evidence.concepts for example in (*concept.examples, concept.pattern.core)]
        shown += [example for contrast in evidence.contrasts for example in (contrast.text, contrast.other)]
        for example, record in zip(shown, og.score(planted, f"units:{unit}", [one.text for one in shown]), strict=True):
            assert record.activation == pytest.approx(example.activation, abs=1e-5)


def test_contrasts_are_on_the_two_sides_of_half(evidences):
    for evidence in evidences.values():
        half = evidence.level()
        for one in evidence.contrasts:
            high, low = (one.other, one.text) if one.kind == "on" else (one.text, one.other)
            high, low = (one.other, one.text) if one.kind == "near miss" else (high, low)
            assert high.activation >= half
            assert low.activation < half or one.kind == "surprise"


def test_a_slot_of_which_all_words_are_of_another_kind_keeps_its_own(monkeypatch):
    model = Planted()
    exact, (common,) = Exact(Objective(model, "units:0", 5)), model.vocabulary.encode("the")
    patterns = Patterns(exact, Scale(-1.0), Kinds(exact, ()), [common], 0, 192)
    monkeypatch.setattr(Kinds, "nearest", lambda kinds, texts, groups: np.ones(len(texts), int))
    built = patterns.of((common,), "search", 0.0, [], [[(common,)]])
    assert [word for word, _ in built.pattern.slots[0].words] == ["the"]
