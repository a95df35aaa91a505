"""EPO's moves against Python lists, and that every slot is scored at its own penalty."""

import pytest
import torch

from optigram.methods.epo import Epo, _fittest, _Population, _replaced
from optigram.objective.fluency import Fluency
from optigram.objective.objective import Objective
from optigram.objective.scores import Scores
from optigram.objective.surprisal import _expected_repetition, _repetition
from optigram.targets.target import resolve
from toy import Toy


def spoken(**fluency):
    toy = Toy()
    return Objective(toy, resolve(["resid:1", "-resid:3@max"], toy), 3, fluency=Fluency(**fluency))


def test_the_penalties_are_the_published_ones_and_none():
    penalties = Epo().penalties
    assert (len(penalties), float(penalties[0])) == (8, 0)
    torch.testing.assert_close(penalties[1:], torch.logspace(-1, 1, 7))


def test_a_child_loses_a_word_and_gets_one():
    text, length = [10, 11, 12, 13], 4
    places = [(out, into) for out in range(length) for into in range(length)]
    out, into = (torch.tensor([[column]]) for column in zip(*places, strict=True))
    children = _replaced(torch.tensor([[text]]), out, into, torch.full_like(out, 99))[0, 0].tolist()
    for (out, into), child in zip(places, children, strict=True):
        expected = [word for place, word in enumerate(text) if place != out]
        expected.insert(into, 99)
        assert child == expected


def test_each_slot_keeps_the_best_text_at_its_own_penalty():
    ids = torch.arange(4)[None, :, None]
    pool = _Population(ids, torch.tensor([[5.0, 4.0, 1.0, -torch.inf]]), torch.tensor([[9.0, 2.0, 0.5, 0.1]]))
    kept = _fittest(pool, torch.tensor([0.0, 0.5, 10.0]))
    assert kept.ids[0, :, 0].tolist() == [0, 1, 2]
    barred = _Population(ids[:, 2:], torch.full((1, 2), -torch.inf), torch.tensor([[7.0, 3.0]]))
    assert _fittest(barred, torch.tensor([0.0, 10.0])).ids[0, :, 0].tolist() == [3, 3]


class Overheard(Objective):
    """Remembers the texts and penalties at which gradients were taken."""

    def gradient(self, ids, at=None, blend=None, penalty=None, beside=False):
        self.asked = [*getattr(self, "asked", []), (ids.clone(), penalty.clone())]
        return super().gradient(ids, at, blend, penalty, beside)


def test_gradients_and_children_of_a_slot_use_its_own_penalty():
    method = Epo(slots=3, children=4, among=3, spoken=0, shifted=0)
    objective = Overheard(Toy(), resolve(["resid:1"], Toy()), 3, fluency=Fluency())
    proposals = method.propose(objective, 0)
    texts = proposals.send(objective.score(next(proposals).ids)).ids
    for _ in range(5):
        living, penalties = objective.asked[-1]
        assert torch.equal(penalties, method.penalties[None])
        parents = living.repeat_interleave(method.children, dim=1)
        assert ((texts != parents).sum(-1) == 1).all(), "a child differs from its own slot's text by one word"
        pool = torch.cat([living, texts], dim=1)
        judged = objective.score(pool)
        best = (judged.activation[:, None] - method.penalties[:, None] * judged.surprisal[:, None]).argmax(-1)
        texts = proposals.send(objective.score(texts)).ids
        assert torch.equal(objective.asked[-1][0], pool.gather(1, best[..., None].expand(-1, -1, 3)))


def test_a_restart_collapses_the_slots_but_not_at_once():
    objective = Overheard(Toy(), resolve(["resid:1"], Toy()), 3, fluency=Fluency())
    proposals = Epo(slots=4, children=3, restart=2).propose(objective, 0)
    scores = objective.score(next(proposals).ids)
    for _ in range(4):
        scores = objective.score(proposals.send(scores).ids)
    same = [bool((ids == ids[:, :1]).all()) for ids, _ in objective.asked]
    assert not same[0]
    assert same[2]


def test_the_price_at_a_restart_is_a_number_of_chance():
    """Two texts with the same value at a penalty of 3: with penalties from 2 to 6, all slots continue from one of them."""
    objective = Overheard(Toy(), resolve(["resid:1"], Toy()), 3, fluency=Fluency())
    after = set()
    for seed in range(12):
        proposals = Epo(slots=2, children=1, gentlest=10, restart=1).propose(objective, seed)
        first = next(proposals).ids
        proposals.send(Scores(torch.tensor([[3.0, 0.0]]), torch.tensor([[1.0, 0.0]])))
        proposals.send(Scores(torch.full((1, 2), -9.0), torch.full((1, 2), 9.0)))
        living = objective.asked[-1][0]
        assert torch.equal(living[:, 0], living[:, 1])
        after.add(torch.equal(living[:, 0], first[:, 0]))
    assert after == {True, False}


def test_first_texts_are_said_by_the_language_model():
    """Word by word from its own shares: less surprising than words drawn at random."""
    objective = spoken()
    streams = [next(Epo(slots=64, children=1).propose(one, 5)).ids for one in (objective, Objective(objective.model, objective.targets, 3))]
    said, drawn = (objective.score(ids).surprisal.mean() for ids in streams)
    assert said < drawn - 0.5


def test_expected_are_the_shares_of_the_next_word():
    objective = spoken()
    ids = torch.tensor([[[5, 6, 9], [12, 13, 14]]])
    shares = objective.expected(ids).log_softmax(-1)
    for row, text in enumerate(ids[0].tolist()):
        logits = torch.from_numpy(objective.model.logits([0, *text]))[:3, objective.lexicon]
        torch.testing.assert_close(shares[0, row], logits.log_softmax(-1).float(), atol=1e-5, rtol=0)


def test_a_price_beside_the_weight_is_a_greater_weight():
    ids = torch.tensor([[[5, 6, 9], [12, 13, 14]]] * 2)
    beside = spoken(weight=0.25).gradient(ids, penalty=torch.tensor([[0.25, 0.25]] * 2))
    torch.testing.assert_close(beside, spoken(weight=0.5).gradient(ids))
    torch.testing.assert_close(spoken().gradient(ids, penalty=torch.zeros(2, 2)), spoken().gradient(ids), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(("text", "cost"), [([5, 6, 9], 0), ([5, 5, 9], 1), ([5, 5, 5], 2**1.5), ([5, 5, 9, 9, 9], 1 + 2**1.5)])
def test_repetition(text, cost):
    words = torch.tensor(text)
    assert float(_repetition(words)) == pytest.approx(cost, abs=1e-5)
    assert float(_expected_repetition(torch.nn.functional.one_hot(words, 12).float())) == pytest.approx(cost, abs=1e-5)


def test_repetition_takes_off_merit_of_hard_and_soft_texts():
    ids = torch.tensor([[[5, 5, 9], [7, 7, 7], [5, 6, 7]]] * 2)
    with_, without = spoken(repetition=2.0).score(ids), spoken().score(ids)
    torch.testing.assert_close(without.value - with_.value, torch.tensor([[2.0, 2 * 2**1.5, 0.0]] * 2), atol=1e-4, rtol=0)
