from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from tiny_models import network, pretrained
from torch import nn

from optigram.errors import InputError
from optigram.models.hooks import Point


def hooks_in(module: nn.Module) -> int:
    return sum(len(part._forward_hooks) + len(part._forward_pre_hooks) for part in module.modules())


class Steps(nn.Module):
    """Three layers that note that they ran; the last fails."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(4, 4) for _ in range(3)])
        self.ran = []

    def forward(self, states):
        for number, layer in enumerate(self.layers):
            states = layer(states)
            self.ran.append(number)
        raise ArithmeticError


def test_the_network_stops_once_all_is_read():
    net, states = Steps(), torch.randn(2, 3, 4)
    found = Point.read_all(net, {"x": Point("layers.1", "in")}, lambda: net(states), (2, 3))
    assert torch.equal(found["x"], net.layers[0](states))
    assert net.ran == [0]
    assert hooks_in(net) == 0


def test_hooks_are_gone_after_an_exception():
    net = Steps()
    net.unused = nn.Linear(4, 4)
    with pytest.raises(ArithmeticError):
        Point.read_all(net, {"x": Point("unused")}, lambda: net(torch.randn(2, 3, 4)), (2, 3))
    assert hooks_in(net) == 0


def test_hooks_are_gone_after_an_exception_in_a_transformer():
    model, before = network("gpt2"), hooks_in(pretrained("gpt2"))  # transformers keeps hooks after output_hidden_states=True
    with pytest.raises(RuntimeError):
        model.read(torch.zeros(1, 2, 5), ["resid_post.2"])
    assert hooks_in(pretrained("gpt2")) == before


def test_a_module_that_is_never_run_is_named():
    net = nn.Sequential(nn.Linear(4, 4))
    net.other = nn.Linear(4, 4)
    with pytest.raises(InputError, match="does not reach other"):
        Point.read_all(net, {"x": Point("other")}, lambda: net[0](torch.randn(2, 3, 4)), (2, 3))


def test_a_module_that_runs_twice_is_no_site():
    shared = nn.Linear(4, 4)
    net = nn.ModuleDict({"shared": shared, "once": nn.Linear(4, 4)})
    widths, _ = Point.survey(net, lambda: net["once"](shared(shared(torch.randn(2, 3, 4)))), (2, 3))
    assert set(widths) == {Point("once", "in"), Point("once")}


def test_an_output_is_replaced_within_the_with_only():
    layer, ids = nn.Embedding(5, 4), torch.tensor([[1, 2]])
    other = torch.randn(1, 2, 4)
    with Point.replaced(layer, other):
        assert torch.equal(layer(ids), other)
    assert torch.equal(layer(ids), layer.weight[ids])


def test_the_vocabulary_projection_is_not_run_for_a_logit():
    model = network("qwen2")
    linear = model.sites["logits"].linear
    ran = []
    handle = model.module.lm_head.register_forward_hook(lambda *_: ran.append(1))
    try:
        model.read(model.embedding[torch.tensor([[7, 8]])], [linear.source])
    finally:
        handle.remove()
    assert not ran


def test_threads_that_read_one_network_see_their_own_texts():
    net = network("gpt2")
    texts = [torch.full((2, 9), number) for number in (1, 2)]
    alone = [net.read(net.embedding[ids], ["mlp_act.1"])["mlp_act.1"] for ids in texts]

    def differs(number: int) -> bool:
        reads = (net.read(net.embedding[texts[number]], ["mlp_act.1"])["mlp_act.1"] for _ in range(100))
        return any(not torch.equal(found, alone[number]) for found in reads)

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(differs, range(2))) == [False, False]


class AddsInPlace(nn.Module):
    """The output of one layer is added to in place, as in Falcon, and the input of the last is overwritten."""

    def __init__(self):
        super().__init__()
        self.first, self.second, self.relu = nn.Linear(4, 4), nn.Linear(4, 4), nn.ReLU(inplace=True)

    def forward(self, states):
        found = self.first(states)
        found += self.second(states)
        return self.relu(found)


def test_a_state_is_what_the_module_gave_even_if_it_is_changed_in_place_later():
    net, states = AddsInPlace(), torch.randn(2, 3, 4, requires_grad=True)
    points = {str(point): point for point in (Point("first"), Point("second"), Point("relu", "in"), Point("relu"))}
    together = Point.read_all(net, points, lambda: net(states * 1), (2, 3))
    for name, point in points.items():
        assert torch.equal(together[name], Point.read_all(net, {name: point}, lambda: net(states * 1), (2, 3))[name])
    assert torch.equal(together["first"], net.first(states))
    assert torch.autograd.grad(together["first"].sum(), states)[0].abs().sum() > 0
