"""The scorer of texts of all lengths: the activations of the objective, without trials for each length."""

import numpy as np
from benchmarks.quality.planted_labels import PlantedUnits

from optigram.explaining.texts import Scorer
from optigram.objective import blocks
from optigram.targets.target import resolve


def test_texts_of_many_lengths_are_scored_without_trials(monkeypatch):
    model = PlantedUnits()
    monkeypatch.setattr(blocks, "_Full", None)  # a trial would end here
    scorer = Scorer(model, resolve(["act:0@max", "act:1@max"], model))
    assert np.array_equal(scorer(["dog the", "the apple near", "red dog plum saw"]), [[1, 0, 1], [0, 1, 1]])
    assert scorer.forwards == 3
