"""Coordinate ascent within a bound on surprisal: what is looked at first, what that costs, and that company changes nothing."""

import pytest
import torch
from tiny_models import network

from optigram.methods import Coordinate
from optigram.methods.combinators import Watched
from optigram.methods.fluent_moves import JUDGED
from optigram.objective.fluency import Fluency
from optigram.objective.objective import Objective
from optigram.optimize.search import Budget, search
from optigram.targets.target import resolve

CHAINS, MOST = 3, 5.0


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
    method = Watched(Coordinate(CHAINS, 16), lambda number, proposal, scores: tried.append((proposal.ids, scores)))
    (found,) = search(objective, method, Budget(forwards=400), n=3).found
    assert all(ids.shape[1] == CHAINS * JUDGED for ids, _ in tried[1:])
    assert bool((found.surprisal <= MOST).all())
    assert found.forwards + found.backwards <= 400
    assert len(tried) > 5


def test_what_is_found_does_not_depend_on_other_targets():
    model, targets = network("llama"), ["mlp_act.0:3@max", "mlp_act.0:5@max"]
    together = search(bounded(model, *targets), Coordinate(CHAINS, 8), Budget(forwards=300)).found
    for target, found in zip(targets, together, strict=True):
        (alone,) = search(bounded(model, target), Coordinate(CHAINS, 8), Budget(forwards=300)).found
        assert torch.equal(found.ids, alone.ids)
        assert torch.equal(found.activation, alone.activation)
        assert found.trace == alone.trace
