"""Tests of descriptions, on units whose rules are known."""

import pytest
from planted import UNITS, Planted, corpus, knowing

from optigram.explaining.verify import verify
from optigram.targets.target import resolve

TEXTS = corpus()


@pytest.fixture(scope="module")
def planted():
    return Planted()


def test_counterexamples_are_found_for_wrong_labels_and_for_no_right_one(planted):
    targets = resolve("act:*", planted)
    right = list(verify(planted, list(zip(targets, [unit.right for unit in UNITS], strict=True)), knowing, TEXTS, 400))
    wrong = list(verify(planted, list(zip(targets, [unit.wrong for unit in UNITS], strict=True)), knowing, TEXTS, 400))
    assert [one.description for one in right if one.counterexamples] == []
    assert [one.description for one in wrong if not one.counterexamples] == []
    for one in right:
        assert one.predictions[0].detection.value == 1
    for one in wrong:
        for each in one.counterexamples:
            fires = each.activation >= one.fires
            assert (fires, each.kind) in ((True, "does not fit and fires"), (False, "fits and is silent"))
