import copy
from dataclasses import dataclass

import pytest
import torch
from tiny_models import pretrained, tokenizer

import optigram as og
from optigram.errors import InputError
from optigram.methods import Proposal, Random, method_named
from optigram.models.imaginet import Imaginet, Sizes
from optigram.objective.fluency import Fluency
from optigram.objective.objective import Objective
from optigram.objective.scores import Scores
from optigram.optimize.search import Budget, search
from optigram.targets.target import resolve


@dataclass(frozen=True)
class Counting:
    """Proposes the texts of a list, one per round, and keeps the scores that it was sent."""

    texts: tuple
    told: list
    softs: tuple = ()  # of each round, a soft value per text
    patience = None
    ends = True
    batch = None

    def cost(self, budget):
        return float(len(self.texts))

    def with_block(self, texts):
        return self

    def probe(self):
        return self

    def propose(self, objective, seed, start=None):
        for number, text in enumerate(self.texts):
            notes = {"belief": torch.full((len(objective.targets), 1), 9.0)}
            if self.softs:
                notes["soft"] = torch.tensor([[self.softs[number]]]).expand(len(objective.targets), -1)
            self.told.append((yield Proposal(torch.tensor([[text]]), notes)))


@pytest.fixture
def judged(tiny, monkeypatch):
    """An objective whose judge is a fake: a text scores its first id, or NaN for id 9, or Ctrl-C for id 8."""
    objective = Objective(tiny, resolve(["visual:dog", "visual:cat"], tiny), 1)

    def score(self, ids, owned=False):
        if (ids == 8).any():
            raise KeyboardInterrupt
        self.cost.charge(forwards=1.0)
        values = ids[..., 0].float().expand(2, -1).clone()
        values[values == 9] = torch.nan
        return Scores(values)

    monkeypatch.setattr(Objective, "score", score)
    return objective


def test_the_method_is_told_the_exact_scores_and_the_best_is_kept(judged):
    method = Counting(((3,), (5,), (4,)), [])
    outcome = search(judged, method, n=2)
    assert [scores.activation.tolist() for scores in method.told] == [[[3], [3]], [[5], [5]], [[4], [4]]]
    for found in outcome.found:
        assert found.ids.tolist() == [[5], [4]]
        assert found.activation.tolist() == [5, 4]
        assert found.trace == [(1, 3, 3), (2, 5, 5), (3, 5, 5)]
        assert found.notes == {"belief": 9}
        assert (found.forwards, found.backwards) == (3, 0)


def test_the_end_of_a_search_is_noted_beside_its_best(judged):
    found = search(judged, Counting(((3,), (5,), (4,)), [], softs=(1.0, 6.0, 7.5))).found[0]
    assert found.notes == {"belief": 9, "soft": 6.0, "soft_at_end": 7.5, "hard_at_end": 4.0}


def test_nan_is_counted_and_never_kept(judged):
    found = search(judged, Counting(((9,), (3,), (9,)), [])).found[0]
    assert (found.ids.tolist(), found.broken) == ([[3]], 2)
    nothing = search(judged, Counting(((9,),), [])).found[0]
    assert (nothing.ids.tolist(), nothing.activation.tolist(), nothing.broken) == ([], [], 1)


@pytest.mark.parametrize(("budget", "rounds"), [(Budget(rounds=2), 2), (Budget(forwards=3.5), 3), (Budget(patience=1), 2), (Budget(), 5)])
def test_budgets(judged, budget, rounds):
    found = search(judged, Counting(((4,), (3,), (5,), (6,), (7,)), []), budget).found[0]
    assert len(found.trace) == rounds


def test_a_budget_of_seconds_ends_after_the_round_that_passes_it(judged):
    assert len(search(judged, Counting(((4,), (3,)), []), Budget(seconds=1e-9)).found[0].trace) == 1


def test_ctrl_c_keeps_what_was_found(judged):
    outcome = search(judged, Counting(((4,), (8,), (5,)), []))
    assert outcome.interrupted
    assert outcome.found[0].ids.tolist() == [[4]]


@pytest.mark.parametrize("bounds", [{"forwards": 0}, {"seconds": -1}, {"rounds": 0}, {"patience": 0}, {"forwards": float("nan")}])
def test_an_empty_budget_is_refused(bounds):
    with pytest.raises(InputError, match="more than 0"):
        Budget(**bounds)


def test_at_least_one_text_is_kept(judged):
    with pytest.raises(InputError, match="at least 1 text"):
        search(judged, Counting(((3,),), []), n=0)


def test_the_trace_has_the_activation_of_the_text_with_the_best_value(tiny, monkeypatch):
    objective = Objective(tiny, resolve(["visual:dog"], tiny), 1)

    def score(self, ids, owned=False):
        """The value prefers smaller ids, which have smaller activations; id 9 is not allowed."""
        self.cost.charge(forwards=1.0)
        activation = ids[..., 0].float()
        return Scores(activation, None, (10 - 2 * activation).masked_fill(ids[..., 0] == 9, -torch.inf))

    monkeypatch.setattr(Objective, "score", score)
    seen = []
    method = Counting(((9,), (5,), (3,), (6,)), [])
    found = search(objective, method, watch=lambda done, best: seen.append(best.tolist())).found[0]
    assert found.trace == [(1, -torch.inf, -torch.inf), (2, 5, 0), (3, 3, 4), (4, 3, 4)]
    assert seen == [[-torch.inf], [5], [3], [3]]
    assert found.ids.tolist() == [[3]]


def test_a_batch_holds_no_copies(tiny, monkeypatch):
    """One target scores its own texts and no others."""
    scored, score = [], Objective.score

    def counted(self, ids, owned=False):
        scored.append((len(ids), owned))
        return score(self, ids, owned)

    monkeypatch.setattr(Objective, "score", counted)
    search(Objective(tiny, "visual:dog", 3), Random(4), Budget(rounds=2))
    search(Objective(tiny, ["visual:dog", "visual:cat"], 3), Random(4), Budget(rounds=1))
    assert scored == [(1, True), (1, True), (2, True)]


@pytest.fixture(scope="module")
def wordy():
    """A recurrent model of 200 words and a transformer, so that rounds have all the candidates that they may."""
    torch.manual_seed(0)
    words = tuple(f"w{number}" for number in range(200))
    return Imaginet(words, ("cat",), Sizes(8, 8, 1), name="wordy").eval().requires_grad_(False), og.load(
        pretrained("gpt2"), tokenizer("bpe")
    )


@pytest.mark.parametrize("by", ["coordinate", "beam", "gcg", "mcgcg", "genetic", "random", "epo"])
def test_no_method_spends_more_than_its_budget(wordy, by):
    """A text's surprisal by another model costs a second forward; epo begins with texts that a language model says."""
    for model, target in zip(wordy, ("visual:cat", "mlp_act.0:7"), strict=True):
        for fluency in (None, Fluency(band=(0.0, 9.0), model=copy.copy(model))):
            objective = Objective(model, target, 4, fluency=fluency)
            for budget in (40, 300) if fluency is None else (80,):
                method = method_named(by, budget / objective.passes, model.attends)
                (found,) = search(objective.subset([0]), method, Budget(forwards=budget)).found
                assert 0 < found.forwards + found.backwards <= 1.1 * budget, (model.name, budget)
