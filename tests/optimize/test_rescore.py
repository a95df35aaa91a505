import numpy as np
import pytest
import torch

from optigram.methods import Corpus
from optigram.objective.fluency import Fluency
from optigram.objective.objective import Objective
from optigram.optimize.search import search
from optigram.runs.find import score_texts
from optigram.targets.target import resolve
from toy import Toy


def every(objective):
    words = objective.lexicon.tolist()
    return Corpus("all", np.array([[i, j] for i in words for j in words]))


def test_a_search_in_half_precision_gives_float32_the_last_word():
    toy = Toy()
    half = toy.in_half()
    loads = []

    def exact():
        loads.append(1)
        return toy

    addresses = ["resid:*", "-logits:3"]
    objective = Objective(half, resolve(addresses, half), 2, exact=exact)
    found = search(objective, every(objective), n=9).found
    assert loads == [1]
    rough = search(Objective(half, objective.targets, 2), every(objective), n=9).found
    best = search(Objective(toy, objective.targets, 2), every(objective), n=9).found
    assert any(one.ids.tolist() != other.ids.tolist() for one, other in zip(found, rough, strict=True))
    for row, one in enumerate(found):
        judged = Objective(toy, objective.targets, 2).score(one.ids[None]).activation[row]
        torch.testing.assert_close(one.activation, judged)
        assert (one.activation.diff() <= 0).all()
        assert sorted(one.ids.tolist()) == sorted(rough[row].ids.tolist())
        torch.testing.assert_close(one.remarks["searched"].sort(descending=True).values, rough[row].activation, atol=1e-6, rtol=0)
        torch.testing.assert_close(one.activation[0], best[row].activation[0], atol=0.05, rtol=0)


def test_an_exact_search_is_not_judged_again(monkeypatch):
    toy = Toy()
    objective = Objective(toy, resolve(["resid:1"], toy), 2)
    monkeypatch.setattr(Objective, "viewed", None)
    found = search(objective, every(objective)).found[0]
    assert (found.surprisal, found.remarks) == (None, {})


def test_records_tell_the_surprisal(tiny):
    objective = Objective(tiny, resolve(["visual:dog", "language:a"], tiny), 3, fluency=Fluency())
    records = score_texts(objective, [(3, 4, 5)])[3, 4, 5]
    surprisal = objective.score(torch.tensor([[[3, 4, 5]]])).surprisal
    assert [record.surprisal for record in records] == pytest.approx(surprisal[:, 0].tolist())
    assert [record.activation for record in records] == pytest.approx(
        objective.score(torch.tensor([[[3, 4, 5]]])).activation[:, 0].tolist()
    )


def test_a_second_model_says_how_surprised_it_is():
    toy, second = Toy(), Toy(seed=5)
    objective = Objective(toy, resolve(["resid:1", "resid:2"], toy), 2, fluency=Fluency(0.1, second=second))
    free = Objective(toy, objective.targets, 2, fluency=Fluency(0.1, model=second))
    before = search(Objective(toy, objective.targets, 2, fluency=Fluency(0.1)), every(objective), n=3).found
    for one, other in zip(search(objective, every(objective), n=3).found, before, strict=True):
        assert torch.equal(one.ids, other.ids), "it is told nothing of the search"
        torch.testing.assert_close(one.remarks["second_surprisal"], free.score(one.ids[None]).surprisal[0])
