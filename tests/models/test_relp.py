"""RelP's rules: the same values, the gradients of a network that is linear, and nothing left behind."""

import pytest
import torch

from models.tiny_models import network
from optigram.models.network import Network
from optigram.objective.objective import Objective
from optigram.objective.scores import SoftText

WITHOUT_BIAS = ("llama", "mistral", "gemma", "phi3", "olmo2")  # and without positions that are added to embeddings
OTHERS = ("bert", "gpt2")


def slopes(model: Network, site: str, linearised: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """Values of some random texts, and their gradients."""
    objective = Objective(model, [f"{site}:{unit}@last" for unit in range(4)], 5)
    ids = objective.lexicon[torch.randint(len(objective.lexicon), (4, 3, 5), generator=torch.Generator().manual_seed(0))]
    embeds = model.embedding[ids].float().requires_grad_()
    value = objective.relax(SoftText(embeds, None), linearised=linearised).value
    return value.detach(), torch.autograd.grad(value.sum(), embeds)[0]


@pytest.mark.parametrize("name", WITHOUT_BIAS)
def test_without_biases_the_gradient_times_the_text_is_the_value(name):
    model = network(name)
    embeds = model.embedding[Network.ordinary_ids(model.vocabulary, (3, 6), 0)].float().requires_grad_()
    with model.linearised():
        value = model.read(embeds, ["resid_post.1"])["resid_post.1"][:, -1, 5]
    (slope,) = torch.autograd.grad(value.sum(), embeds)
    torch.testing.assert_close((slope * embeds).sum((-1, -2)), value, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("name", WITHOUT_BIAS + OTHERS)
def test_values_are_the_same_and_gradients_are_not(name):
    model = network(name)
    (plain, slope), (relp, other) = (slopes(model, "mlp_act.2", linearised) for linearised in (False, True))
    assert torch.equal(plain, relp)
    assert not torch.allclose(slope, other, rtol=1e-2)
    assert torch.equal(slopes(model, "mlp_act.2", False)[1], slope), "nothing is left behind"
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in model.module.modules())
