"""Neurons that are off: a search orders texts by what lies before the activation function, and records the true activation."""

import pytest
import torch

from models.tiny_models import network
from optigram.methods.coordinate import Coordinate
from optigram.methods.gcg import Gcg
from optigram.objective.objective import Objective
from optigram.optimize.search import Budget, search


def one(name: str, sign: str = "") -> tuple[Objective, torch.Tensor]:
    """An objective of some neurons, and random texts."""
    model = network(name)
    objective = Objective(model, [f"{sign}mlp_act.1:{unit}@last" for unit in range(12)], 4)
    ids = objective.lexicon[torch.randint(len(objective.lexicon), (1, 40, 4), generator=torch.Generator().manual_seed(1))]
    return objective, ids


def before(objective: Objective, ids: torch.Tensor, site: str) -> torch.Tensor:
    return Objective(objective.model, [f"{site}:{unit}@last" for unit in range(12)], 4).score(ids).activation


@pytest.mark.parametrize("name", ["gpt2", "llama", "bert", "phi3"])
def test_texts_that_leave_a_neuron_off_are_ordered_by_what_it_lacks(name):
    objective, ids = one(name)
    true, climbed = objective.score(ids).activation, objective.climbing().score(ids).activation
    on = true > 0
    assert on.any()
    assert (~on).any()
    assert torch.equal(true[on], climbed[on])
    lacks = before(objective, ids, "mlp_pre.1").clamp(max=0)
    if "mlp_pre_linear.1" in objective.model.sites:
        lacks = lacks + before(objective, ids, "mlp_pre_linear.1").clamp(max=0)
    torch.testing.assert_close(climbed[~on], 1e-6 * lacks[~on], rtol=1e-3, atol=1e-10)


def test_their_gradient_is_that_of_what_it_lacks():
    objective, ids = one("gpt2")
    off = objective.score(ids).activation <= 0
    rows, columns = off.nonzero(as_tuple=True)
    climbed = objective.climbing().gradient(ids.expand(12, -1, -1))[rows, columns]
    pre = Objective(objective.model, [f"mlp_pre.1:{unit}@last" for unit in range(12)], 4)
    torch.testing.assert_close(climbed, pre.gradient(ids.expand(12, -1, -1))[rows, columns], rtol=1e-4, atol=1e-6)


def test_what_is_minimised_is_left_as_it_is():
    objective, ids = one("gpt2", "-")
    assert torch.equal(objective.score(ids).activation, objective.climbing().score(ids).activation)


@pytest.mark.parametrize("method", [Coordinate(chains=1, candidates=4), Gcg(candidates=4)])
def test_the_recorded_activation_is_the_true_one(method):
    objective, _ = one("gpt2")
    for row, found in enumerate(search(objective, method, Budget(forwards=12), n=3).found):
        assert found is not None
        torch.testing.assert_close(found.activation, objective.viewed("exact").score(found.ids[None]).activation[row])
