"""Coordinate ascent within a bound on surprisal: what is looked at first, what that costs, and that company changes nothing."""

import pytest
import torch

from models.tiny_models import network
from optigram.methods import Coordinate
from optigram.methods.combinators import Watched
from optigram.methods.fluent_moves import JUDGED, SHIFTED, TEXT, Within
from optigram.methods.moves import Words
from optigram.objective.contexts import Contexts
from optigram.objective.fluency import FRONT, Fluency
from optigram.objective.objective import Objective
from optigram.objective.rng import Streams
from optigram.objective.scores import Scores
from optigram.optimize.search import Budget, search
from optigram.runs.plan import Plan
from optigram.targets.target import resolve
from optigram.text.template import Template

CHAINS, MOST = 2, 5.0


def bounded(model, *targets, most=MOST, language=None):
    return Objective(model, resolve(list(targets), model), 4, fluency=Fluency(band=(0, most), model=language))


def texts_of(objective, count=6):
    return objective.lexicon[torch.randint(len(objective.lexicon), (1, count, 4), generator=torch.Generator().manual_seed(0))]


@pytest.mark.parametrize(("site", "share"), [("mlp_act.0", 1 / 3), ("mlp_act.2", 1.0), ("resid_pre.1", 2 / 3)])
def test_an_activation_costs_the_share_of_the_blocks_that_run(site, share):
    objective = bounded(network("llama"), f"{site}:3@max")
    texts = texts_of(objective)
    whole, cost = objective.score(texts), objective.cost.spent.clone()
    torch.testing.assert_close(objective.activations(texts), whole.activation)
    assert objective.activation_cost == share
    assert float(objective.cost.spent - cost) == pytest.approx(share * float(cost))


def test_without_a_bound_an_activation_costs_a_forward():
    model = network("llama")
    for fluency in (None, Fluency(0.5), Fluency(band=(2, float("inf")))):
        assert Objective(model, "mlp_act.0:3", 4, fluency=fluency).activation_cost == 1


@pytest.mark.parametrize("language", [None, "gemma2"])
def test_few_texts_of_a_round_are_scored_whole(language):
    other = None if language is None else network(language)
    objective, tried = bounded(network("llama"), "mlp_act.0:3@max", language=other), []
    method = Watched(Coordinate(CHAINS, 2), lambda number, proposal, scores: tried.append((proposal.ids, scores)))
    (found,) = search(objective, method, Budget(forwards=150), n=3).found
    assert found is not None
    assert found.surprisal is not None
    assert all(ids.shape[1] <= CHAINS * JUDGED for ids, _ in tried[1:])
    assert bool((found.surprisal <= MOST).all())
    assert found.forwards + found.backwards <= 150
    assert len(tried) > 1


def test_what_is_found_does_not_depend_on_other_targets():
    model, targets, method, budget = network("llama"), ["mlp_act.0:3@max", "mlp_act.0:5@max"], Coordinate(CHAINS, 2), Budget(forwards=60)
    together = search(bounded(model, *targets), method, budget).found
    for target, found in zip(targets, together, strict=True):
        (alone,) = search(bounded(model, target), method, budget).found
        assert alone is not None
        assert found is not None
        assert torch.equal(found.ids, alone.ids)
        assert torch.equal(found.activation, alone.activation)
        assert found.trace == alone.trace


def test_a_text_above_the_bound_counts_less_a_price_that_rises_while_most_chains_are_above():
    objective = bounded(network("llama"), "mlp_act.0:3@max")
    value = torch.tensor([[2.0, -torch.inf]])
    within = Within(objective, Scores(torch.tensor([[2.0, 4.0]]), torch.tensor([[MOST, MOST + 1]]), value))
    children = texts_of(objective, 2)[:, :, None]
    told = Scores(torch.tensor([[3.0, 4.0]]), torch.tensor([[MOST + 2, MOST]]), torch.tensor([[-torch.inf, 4.0]]))
    worth, standing = within.worths(told, children, torch.tensor([[2.0, 3.0]]))
    price = TEXT * 4.0  # in the largest activation
    torch.testing.assert_close(worth, torch.tensor([[3.0 - 2 * price, 4.0]]))
    torch.testing.assert_close(standing, torch.tensor([[2.0, 4.0 - price]]))
    assert within.kept(torch.tensor([[2.0, 3.0]])).tolist() == [[[2.0, -torch.inf]]]
    within.update(told, torch.tensor([[True, False]]), torch.zeros(1, 2, dtype=torch.int64))
    assert within.surprisal.tolist() == [[MOST + 2, MOST + 1]]
    assert within.text.item() == pytest.approx(1.3)  # both chains are above
    assert within.word.item() == pytest.approx(1 / 1.3)  # one of two texts is


def test_words_are_inserted_at_the_cost_of_the_first_or_the_last(monkeypatch):
    objective = bounded(network("llama"), "mlp_act.0:3@max")
    texts, seen = texts_of(objective, 1), []
    within = Within(objective, objective.score(texts))
    within.ranked(torch.randn(1, 1, len(objective.lexicon)), texts, 2)
    words = objective.lexicon[None, None, :SHIFTED]
    monkeypatch.setattr(objective, "activations", lambda ids: seen.extend(ids[0].tolist()) or torch.arange(ids.shape[1] * 1.0)[None])
    children = within.children(texts, 2, words, torch.tensor([[-1.0]]))
    a, b, c, d = texts[0, 0].tolist()
    swapped = [[a, b, word, d] for word in words.flatten().tolist()]
    assert seen == [*swapped, [b, c, swapped[0][2], d], [a, b, swapped[0][2], c]]
    assert children.shape == (1, 1, JUDGED, 4)
    assert all(text in seen for text in children[0, 0].tolist())


def test_in_several_contexts_activations_are_looked_at_in_each():
    model = network("llama")
    parts = [
        Objective(model, "mlp_act.0:3@max", 3, Template.parse(text, model.vocabulary), fluency=Fluency(band=(0, MOST)))
        for text in ("a {3}", "{3} dog")
    ]
    objective = Contexts(parts, "min")
    texts = texts_of(objective)[..., :3]
    torch.testing.assert_close(objective.activations(texts), objective.score(texts).activation)
    assert objective.activation_cost == pytest.approx(2 / 3)
    assert objective.activation_first


def test_for_a_front_each_chain_has_a_bound_and_a_price_of_its_own():
    model = network("llama")
    objective = Objective(model, "mlp_act.0:3@max", 4, fluency=Fluency(front=True))
    chains = len(objective.surprisal_bounds)
    nats = torch.full((1, chains), 4.0)
    within = Within(objective, Scores(torch.ones(1, chains), nats, torch.ones(1, chains)))
    above = [bound < 4.0 for bound in objective.surprisal_bounds]
    assert any(above)
    assert not all(above)
    children = texts_of(objective, chains)[:, :, None]
    told = Scores(torch.ones(1, chains), nats, torch.ones(1, chains))
    worth, _ = within.worths(told, children, torch.ones(1, chains))
    assert (worth < 1)[0].tolist() == above
    assert within.kept(torch.ones(1, chains)).isfinite()[0, :, 0].tolist() == [not one for one in above]
    within.update(told, torch.zeros(1, chains, dtype=torch.bool), torch.zeros(1, chains, dtype=torch.int64))
    assert (within.text > 1)[0].tolist() == above
    assert (within.word > 1)[0].tolist() == above


def test_a_weight_or_an_upper_bound_leaves_one_bound_for_all():
    assert Fluency(front=True, weight=0.1).bounds == ()
    assert Fluency(front=True, band=(0, 3)).bounds == (3,)
    assert Fluency(front=True, band=(2, float("inf"))).bounds == FRONT
    model = network("llama")
    method = Plan.of("auto", Objective(model, "mlp_act.0:3@max", 4, fluency=Fluency(front=True)), None, 500).method
    assert isinstance(method, Coordinate)
    assert method.chains == len(FRONT)


def test_chains_for_a_front_begin_at_the_best_of_the_start_within_their_bounds():
    objective = Objective(network("llama"), "mlp_act.0:3@max", 4, fluency=Fluency(front=True))
    chains = len(objective.surprisal_bounds)
    texts, start = texts_of(objective, chains), texts_of(objective, 12)[:, -3:]
    begun = Within.begun(objective, Streams(0, ["a"], chains, objective.device), texts, start)
    assert torch.equal(next(begun).ids, start)
    values, nats = torch.tensor([[3.0, 2.0, 1.0]]), torch.tensor([[5.0, 4.0, 3.0]])
    with pytest.raises(StopIteration) as stopped:
        begun.send(Scores(values, nats, values))
    best = [0 if bound >= 5 else 1 if bound >= 4 else 2 for bound in objective.surprisal_bounds]
    assert torch.equal(stopped.value.value, start[:, best])


def test_coordinate_ascent_finds_a_front_from_texts_that_the_language_model_samples():
    objective = Objective(network("llama"), "mlp_act.0:3@max", 4, fluency=Fluency(front=True))
    (found,) = search(objective, Coordinate(len(FRONT), 4), Budget(forwards=400), front=True).found
    assert found is not None
    assert found.surprisal is not None
    assert len(found.ids) > 1
    assert found.forwards + found.backwards <= 400


def test_a_sampled_text_that_may_not_be_kept_is_not_begun_at(monkeypatch):
    objective = Objective(network("llama"), "mlp_act.0:3@max", 4, must_survive=True, fluency=Fluency(front=True))
    texts, streams = texts_of(objective, 2), Streams(0, ["a"], 2, objective.device)
    monkeypatch.setattr(objective, "is_allowed", lambda ids: torch.tensor([[False, True]]))
    sampled = Words.sampled(objective, streams, texts, 512)
    assert torch.equal(sampled[:, 0], texts[:, 0])
    assert not torch.equal(sampled[:, 1], texts[:, 1])
