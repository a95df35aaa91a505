"""The growth of corpus search, against one search per part by enumeration."""

import numpy as np
import pytest
import torch

from optigram.objective.objective import Objective
from optigram.papers.poerner2018 import growth
from optigram.papers.poerner2018.growth import Growth
from optigram.targets.target import resolve

TARGETS = ["language:a,b", "visual:dog"]
TEXTS = ["a b c d e f", "g f e d c", "a a b b c", "g a c e b d f", "f f g a zebra b c d e", "c c c", "e e d d a", "b a b a b a b"]


@pytest.fixture(scope="module")
def grown(tiny) -> Growth:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(growth, "PARTS", 3)
        patch.setattr(growth, "CHUNK", 5)
        return Growth.measure(tiny, TARGETS, TEXTS, "eight texts")


def test_every_level_is_the_best_of_its_part(tiny, grown):
    objective = Objective(tiny, resolve(TARGETS, tiny), 5)
    assert grown.sizes == [2, 4, 8]
    for seed, parts in enumerate(grown.best):
        order = np.random.default_rng(seed).permutation(len(TEXTS))
        for size, level in zip(grown.sizes, parts, strict=True):
            rows = [tiny.vocabulary.encode(TEXTS[i]) for i in order[:size]]
            windows = [row[i : i + 5] for row in rows for i in range(len(row) - 4)]
            known = [window for window in windows if 2 not in window]
            expected = objective.score(torch.tensor([known])).activation.amax(1)
            assert level == pytest.approx(expected.tolist(), abs=1e-4)


def test_windows_with_unknown_words_are_counted(grown):
    assert (grown.windows, grown.unknown) == (16, 5)


def test_it_is_read_again(grown, tmp_path):
    grown.write(tmp_path / "growth.json")
    assert Growth.read(tmp_path / "growth.json") == grown


def test_a_straight_line_goes_on_straight():
    made = Growth("m", "c", 1, 0, 1, [100, 200, 400, 800], ["visual:dog", "language:a"], [[[1, 5], [2, 5], [3, 5], [4, 5]]] * 2)
    assert made.extrapolated("visual", 3200) == {"visual:dog": pytest.approx(6)}
    assert made.extrapolated("language", 3200) == {"language:a": pytest.approx(5)}
    assert made.extrapolated("visual", 100) == {"visual:dog": pytest.approx(4)}
