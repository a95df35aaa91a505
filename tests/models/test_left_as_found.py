"""A loaded object is left as it was found: before, during an exception and after, whatever is asked of it."""

import copy
import threading
from types import SimpleNamespace

import accelerate
import pytest
import torch
from tiny_models import ARCHITECTURES, network, pretrained, tokenizer
from torch import nn

from optigram.errors import InputError
from optigram.methods import paper as presets
from optigram.models.heads import _linear_weights
from optigram.models.hooks import Point
from optigram.models.loading import load
from optigram.models.module_state import Frozen
from optigram.models.validation import checks
from optigram.objective.objective import Objective
from optigram.optimize.search import search
from optigram.targets.target import resolve

IDS = torch.tensor([[7, 8, 9]])
SITE = "mlp_act.1"


def trained(name: str = "gpt2", dropout: float = 0.5):
    """A model in the middle of a training run: some submodules in training mode, some parameters frozen, dropout on."""
    model = copy.deepcopy(pretrained(name)).train()
    for number, part in enumerate(model.modules()):
        part.training = number % 3 != 0
        if isinstance(part, nn.Dropout):
            part.p, part.training = dropout, True
    for number, weight in enumerate(model.parameters()):
        weight.requires_grad_(number % 4 != 0)
    return model


def snapshot(module: nn.Module) -> SimpleNamespace:
    return SimpleNamespace(
        modes={path: part.training for path, part in module.named_modules()},
        wanting={name: weight.requires_grad for name, weight in module.named_parameters()},
        hooks={path: (list(part._forward_hooks), list(part._forward_pre_hooks)) for path, part in module.named_modules()},
        places={name: (weight.device, weight.dtype) for name, weight in module.state_dict().items()},
        weights={name: value.clone() for name, value in module.state_dict().items() if not value.is_meta},
        gradients={name: weight.grad for name, weight in module.named_parameters()},
        config=copy.deepcopy(getattr(module, "config", None)) and module.config.to_dict(),
    )


def assert_same(before: SimpleNamespace, module: nn.Module) -> None:
    after = snapshot(module)
    for name in ("modes", "wanting", "hooks", "places", "config"):
        assert getattr(after, name) == getattr(before, name), name
    assert after.weights.keys() == before.weights.keys()
    assert all(torch.equal(after.weights[name], value) for name, value in before.weights.items())
    assert all(gradient is before.gradients[name] for name, gradient in after.gradients.items())


@pytest.mark.parametrize("name", ["gpt2", "gemma2", "bert", "t5"])
def test_a_loaded_model_is_left_as_it_was_found_by_all_that_reads_it(name):
    module = trained(name)
    before, random = snapshot(module), torch.get_rng_state()
    model = load(module, tokenizer(ARCHITECTURES[name].tokenizer))
    assert_same(before, module)
    embeds = model.embedding[IDS].requires_grad_()
    state = model.read(embeds, [SITE])[SITE]
    state.sum().backward()  # not only autograd.grad: nothing may reach the weights
    checks(model)
    assert model.fingerprint == network(name).fingerprint
    assert_same(before, module)
    assert torch.equal(torch.get_rng_state(), random)
    whole = network(name)
    expected = whole.embedding[IDS].requires_grad_()
    whole.read(expected, [SITE])[SITE].sum().backward()
    assert torch.equal(embeds.grad, expected.grad)  # no dropout


def test_a_whole_search_leaves_it_as_it_was_found():
    module = trained()
    before = snapshot(module)
    model = load(module, tokenizer("bpe"))
    objective = Objective(model, resolve(["mlp_act.1:3", "logits:5"], model), 3)
    alone = Objective(network("gpt2"), objective.targets, 3)
    for method in (presets.modern("gbl", 120), presets.modern("emb", 120)):
        assert torch.equal(search(objective, method).found[0].ids, search(alone, method).found[0].ids)
    assert_same(before, module)


def test_it_is_evaluated_and_frozen_in_between():
    module = trained()
    model, seen = load(module, tokenizer("bpe")), []
    handle = module.transformer.h[0].register_forward_hook(
        lambda *_: seen.append(
            (any(part.training for part in module.modules()), any(weight.requires_grad for weight in module.parameters()))
        )
    )
    model.read(model.embedding[IDS], [SITE])
    handle.remove()
    assert seen == [(False, False)]


class _Break:
    """A layer's forward that raises."""

    def __init__(self, error: BaseException):
        self.error = error

    def __call__(self, *_):
        raise self.error


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ArithmeticError()])
def test_it_is_left_as_it_was_found_by_an_exception_and_by_ctrl_c(error):
    module = trained()
    model = load(module, tokenizer("bpe"))
    before = snapshot(module)
    handle = module.transformer.h[1].register_forward_pre_hook(_Break(error))
    with pytest.raises(type(error)):
        model.read(model.embedding[IDS].requires_grad_(), ["resid_post.2"])
    with pytest.raises(type(error)):
        load(module, tokenizer("bpe"))
    handle.remove()
    assert_same(before, module)


def test_ctrl_c_while_freezing_restores():
    class Stubborn(nn.Linear):
        def __setattr__(self, name, value):
            if name == "training" and value is False:
                raise KeyboardInterrupt
            super().__setattr__(name, value)

    module = nn.Sequential(nn.Linear(2, 2), Stubborn(2, 2))
    frozen, before = Frozen(module), snapshot(module)
    with pytest.raises(KeyboardInterrupt), frozen:
        pass
    assert_same(before, module)


def test_a_training_step_around_a_read_is_undisturbed():
    """The user's graph from before a read still gives all gradients, and what was read gives them none."""
    module = trained(dropout=0.0)
    model = load(module, tokenizer("bpe"))
    loss = module(IDS, labels=IDS).loss
    state = model.read(model.embedding[IDS].requires_grad_(), [SITE])[SITE]
    loss.backward()
    expected = {name: weight.grad.clone() for name, weight in module.named_parameters() if weight.grad is not None}
    assert len(expected) == sum(weight.requires_grad for weight in module.parameters())
    state.sum().backward()
    for name, weight in module.named_parameters():
        assert (weight.grad is None) == (name not in expected)
        assert weight.grad is None or torch.equal(weight.grad, expected[name])


def test_threads_share_one_frozen_module():
    module = nn.Dropout(0.5)
    frozen, inside, seen = Frozen(module), threading.Barrier(2), []

    def first():
        with frozen:
            inside.wait()

    other = threading.Thread(target=first)
    other.start()
    with frozen:
        inside.wait()
        other.join()
        seen.append(module.training)  # the other thread has left, this one has not
    assert seen == [False]
    assert module.training


def test_a_frozen_module_costs_no_change_and_can_be_copied():
    module = nn.Linear(2, 2).eval().requires_grad_(False)
    frozen = copy.deepcopy(Frozen(module))
    with frozen, frozen:
        assert not module.training
    assert not module.training


def test_a_tiny_imaginet_in_training_is_left_so(tiny):
    module = copy.deepcopy(tiny).train().requires_grad_(True)
    before = snapshot(module)
    model = load(module)
    assert model is module
    embeds = model.embedding[IDS].requires_grad_()
    model.read(embeds, ["visual.hidden"])["visual.hidden"].sum().backward()
    objective = Objective(model, resolve(["visual:dog"], model), 3)
    search(objective, presets.modern("gbl", 60))
    assert embeds.grad is not None
    assert_same(before, module)


def test_a_copy_of_an_imaginet_has_a_fingerprint_of_its_own(tiny):
    assert tiny.fingerprint == Frozen.weights_fingerprint(tiny)
    other = copy.deepcopy(tiny)
    other.word_embedding.weight.data += 1
    assert other.fingerprint != tiny.fingerprint


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"device": "meta"}, "expected device cpu, where the loaded model is, got meta"),
        ({"dtype": "bfloat16"}, "expected dtype float32, which the loaded model has, got bfloat16"),
        ({"revision": "main"}, "expected no revision with a loaded model"),
        ({"trust_remote_code": True}, "expected no trust_remote_code"),
    ],
)
def test_a_loaded_model_is_never_moved_or_converted(settings, message):
    module = trained()
    before = snapshot(module)
    with pytest.raises(InputError, match=message):
        load(module, tokenizer("bpe"), **settings)
    assert_same(before, module)
    assert load(module, tokenizer("bpe"), device="cpu", dtype=torch.float32).dtype == torch.float32


@pytest.fixture
def offloaded(tmp_path):
    """A model whose weights accelerate keeps on disk: on the meta device between forwards."""
    module = copy.deepcopy(pretrained("gpt2"))
    return accelerate.disk_offload(module, str(tmp_path / "weights"), execution_device=torch.device("cpu"))


def test_offloaded_weights_are_read_where_they_are(offloaded):
    for weight in offloaded.parameters():
        weight.requires_grad_(True)
    before = snapshot(offloaded)
    assert {device.type for device, _ in before.places.values()} == {"meta"}
    model, plain = load(offloaded, tokenizer("bpe")), network("gpt2")
    assert_same(before, offloaded)
    assert torch.equal(model.embedding, plain.embedding)
    for site in (SITE, "resid_pre.1", "transformer.h.1@in", "transformer.h.1.attn"):
        embeds, expected = (known.embedding[IDS].requires_grad_() for known in (model, plain))
        state = model.read(embeds, [site])[site]
        assert torch.equal(state, plain.read(expected, [site])[site])
        again = plain.read(expected, [site])[site]
        slopes = [torch.autograd.grad(one.sum(), at)[0] for one, at in ((state, embeds), (again, expected))]
        assert torch.equal(*slopes)
    assert_same(before, offloaded)  # an early stop leaves no weights in memory
    assert torch.equal(model.sites["logits"].linear.weight, plain.sites["logits"].linear.weight)
    assert model.fingerprint == plain.fingerprint
    assert (model.step is None) == (plain.step is None)
    assert_same(before, offloaded)


def test_an_error_leaves_no_offloaded_weights_in_memory(offloaded):
    model, before = load(offloaded, tokenizer("bpe")), snapshot(offloaded)
    layer = offloaded.transformer.h[1].mlp.c_fc
    layer._old_forward, kept = _Break(KeyboardInterrupt()), layer._old_forward
    with pytest.raises(KeyboardInterrupt):
        model.read(model.embedding[IDS], ["resid_post.2"])
    layer._old_forward = kept
    assert_same(before, offloaded)


def test_weights_that_were_never_loaded_are_one_line():
    with torch.device("meta"):
        module = type(pretrained("gpt2"))(pretrained("gpt2").config)
    with pytest.raises(InputError, match="on the meta device") as error:
        load(module, tokenizer("bpe"))
    assert "\n" not in str(error.value)
    with pytest.raises(InputError, match="on the meta device"):
        Frozen.weights_fingerprint(module)


class Int8Linear(nn.Linear):
    """A quantised layer as bitsandbytes has it: an nn.Linear whose weight are integers."""

    def __init__(self, layer: nn.Linear):
        super().__init__(layer.in_features, layer.out_features, layer.bias is not None)
        self.scale = layer.weight.detach().abs().max() / 127
        self.weight = nn.Parameter((layer.weight.detach() / self.scale).round().to(torch.int8), requires_grad=False)
        if layer.bias is not None:
            self.bias = nn.Parameter(layer.bias.detach().clone())

    def forward(self, states):
        return nn.functional.linear(states, self.weight * self.scale, self.bias)


def test_a_quantised_projection_is_read_through_its_forward():
    module = copy.deepcopy(pretrained("llama"))
    module.lm_head = Int8Linear(module.lm_head)
    before = snapshot(module)
    model = load(module, tokenizer("bpe"))
    linear = model.sites["logits"].linear
    torch.testing.assert_close(linear.weight, module.lm_head.weight * module.lm_head.scale)
    with torch.no_grad():
        expected = module(IDS).logits
    state = model.read(model.embedding[IDS], [linear.source])[linear.source]
    torch.testing.assert_close(state @ linear.weight.T + linear.bias, expected, atol=1e-4, rtol=1e-4)
    assert len(model.fingerprint) == 64
    assert_same(before, module)


def test_a_bias_is_told_apart_from_a_quantised_weight():
    layer = Int8Linear(nn.Linear(4, 6))
    weight, bias = _linear_weights(layer, torch.zeros(1, 4))
    torch.testing.assert_close(weight, layer.weight * layer.scale)
    torch.testing.assert_close(bias, layer.bias.detach())


def test_a_read_that_fails_early_leaves_no_hook():
    module = nn.Sequential(nn.Linear(2, 2))
    with pytest.raises(ZeroDivisionError):
        Point.read_all(module, {"x": Point("0")}, lambda: 1 // 0, (1, 1))
    assert not module[0]._forward_hooks
