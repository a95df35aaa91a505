"""Tests of descriptions, on units whose rules are known."""

import itertools
from dataclasses import replace

import pytest
from planted import UNITS, Planted, corpus, knowing

from optigram.errors import InputError
from optigram.explaining.evidence import Concept, Evidence, Example, Pattern, Slot
from optigram.explaining.verify import verify
from optigram.targets.target import resolve

TEXTS = corpus()


@pytest.fixture(scope="module")
def planted():
    return Planted()


def labelled(planted, judge, units):
    """What comes out for the right labels of units, and for their wrong ones."""
    targets = [resolve(f"act:{unit}", planted)[0] for unit in units]
    for labels in ([UNITS[unit].right for unit in units], [UNITS[unit].wrong for unit in units]):
        yield list(verify(planted, list(zip(targets, labels, strict=True)), judge, TEXTS, 100))


def test_counterexamples_are_found_for_wrong_labels_and_for_no_right_one(planted):
    right, wrong = labelled(planted, knowing, range(0, 30, 6))  # one of each kind; all 30 take a minute
    assert [one.description for one in right if one.counterexamples] == []
    assert [one.description for one in wrong if not one.counterexamples] == []
    for one in right:
        assert one.predictions[0].detection.value == 1
        assert one.gain > 0.1
    for one in wrong:
        for each in one.counterexamples:
            fires = each.activation >= one.fires
            assert (fires, each.kind) in ((True, "does not fit and fires"), (False, "fits and is silent"))


def test_no_label_is_contradicted_by_a_judge_that_does_not_know_its_words(planted):
    """None of these texts has the names of classes, and the lexical judge knows nothing else."""
    for one in itertools.chain(*labelled(planted, "lexical", (13, 26))):
        assert (one.counterexamples, one.undecided) == ((), 1.0)


def test_nothing_depends_on_the_other_labels_or_on_the_run(planted):
    """Only shuffled descriptions are taken from the other labels."""
    (target,), (other,) = resolve("act:0", planted), resolve("act:7", planted)
    (alone,) = verify(planted, [(target, "animal")], knowing, TEXTS, 100)
    _, again = verify(planted, [(other, "fruit directly before color"), (target, "animal")], knowing, TEXTS, 100)
    for name in ("best", "fires", "counterexamples", "paraphrases", "fitting"):
        assert getattr(alone, name) == getattr(again, name), name
    assert alone.predictions[0].detection == again.predictions[0].detection


def test_an_evidence_is_tried_and_left_out(planted):
    pattern = Pattern(
        Example("dog cat", 1.0, "search"), [Slot([("dog", 1.0), ("cat", 1.0)]), Slot([("the", 1.0), ("near", 1.0)])], 1.0, 4, None
    )
    text = next(text for text in TEXTS if "dog" in text)
    evidence = Evidence("planted", "act:0", "max", [Concept([Example(text, 1.0, "corpus")], pattern, None)], [], 1.0, None)
    (target,) = resolve("act:0", planted)
    (right,) = verify(planted, [(target, "animal")], knowing, TEXTS, 100, evidence=evidence)
    (wrong,) = verify(planted, [(target, "tool")], knowing, [*TEXTS, "saw the"], 100, evidence=evidence)
    with pytest.raises(InputError, match="expected an evidence of planted, got one of gpt2"):
        list(verify(planted, [(target, "animal")], knowing, TEXTS, 100, evidence=replace(evidence, model="gpt2")))
    assert right.members == (4, 4)
    assert right.counterexamples == ()
    assert {one.kind for one in wrong.counterexamples} == {"does not fit and fires", "fits and is silent"}


@pytest.mark.parametrize(("options", "said"), [({"budget": 0}, "budget"), ({"budget": float("nan")}, "budget"), ({"seed": -1}, "seed")])
def test_wrong_numbers_are_refused(planted, options, said):
    with pytest.raises(InputError, match=f"^{said}: expected"):
        list(verify(planted, [(resolve("act:0", planted)[0], "animal")], knowing, TEXTS, **options))


def test_a_target_that_no_text_raises_is_left_out_of_many(planted):
    dead, told = resolve("act:0 - act:0", planted)[0], []
    pairs = [(dead, "animal"), (resolve("act:0", planted)[0], "animal")]
    found = list(verify(planted, pairs, knowing, TEXTS, 40, tell=told.append))
    assert [one.target for one in found] == ["act:0@max"]
    assert [line for line in told if "the same on all texts" in line]
    with pytest.raises(InputError, match="the same on all texts"):
        list(verify(planted, pairs[:1], knowing, TEXTS, 40))
