"""Explanations are the judge's scores of the changed texts."""

import itertools

import pytest
import torch

from optigram.errors import InputError
from optigram.objective.objective import Objective
from optigram.runs.explain import explain
from optigram.targets.target import resolve

IDS = (3, 5, 7)


@pytest.fixture(scope="module")
def judged(tiny):
    return Objective(tiny, resolve(["visual:dog", "language:a"], tiny), 3)


def value(objective, row, ids):
    return float(objective.score(torch.tensor([[list(ids)]])).activation[row, 0])


def test_every_figure_is_the_judges(judged, tiny):
    shorter = Objective(tiny, judged.targets, 2)
    for row, one in enumerate(explain(judged, IDS, top=3)):
        assert one.activation == pytest.approx(value(judged, row, IDS))
        assert one.text == tiny.vocabulary.decode(IDS)
        for number, place in enumerate(one.places):
            assert place.without == pytest.approx(value(shorter, row, IDS[:number] + IDS[number + 1 :]), abs=1e-6)
            best = sorted(value(judged, row, (*IDS[:number], word, *IDS[number + 1 :])) for word in range(3, 10) if word != IDS[number])
            assert [substitution.activation for substitution in place.substitutions] == pytest.approx(best[::-1][:3], abs=1e-6)
        orders = sorted(value(judged, row, order) for order in itertools.permutations(IDS) if order != IDS)
        assert sorted(one.orders) == pytest.approx(orders, abs=1e-6)
        assert one.better == sum(order > one.activation for order in one.orders)


def test_the_best_of_all_texts_is_optimal(judged, every_text):
    scores = judged.score(torch.from_numpy(every_text)[None]).activation
    for row, best in enumerate(scores.argmax(dim=1).tolist()):
        assert explain(judged, every_text[best].tolist())[row].optimal
    assert not all(one.optimal for one in explain(judged, IDS))


def test_few_words_are_those_that_the_gradient_likes(judged):
    few, all_ = explain(judged, IDS, top=6, sweep=2)[0], explain(judged, IDS, top=6, sweep=None)[0]
    assert all_.whole_lexicon
    assert not few.whole_lexicon
    for one, other in zip(few.places, all_.places, strict=True):
        assert {each.word for each in one.substitutions} <= {each.word for each in other.substitutions}


def test_a_text_of_another_length_is_refused(judged):
    with pytest.raises(InputError, match="3 words, got 2"):
        explain(judged, IDS[:2])
