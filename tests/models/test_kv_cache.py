"""Causal transformers read on from where they stopped: the same scores as when every text is read whole, for less."""

import itertools

import pytest
import torch
from tiny_models import ARCHITECTURES, network

from optigram.objective import forward as reading
from optigram.objective.forward import _read_whole
from optigram.objective.objective import Objective
from optigram.targets.target import resolve
from optigram.text.template import Template

BOTH_SIDES = {"bert", "minilm", "roberta", "distilbert", "modernbert", "t5", "flan-t5"}
CAUSAL = [name for name in ARCHITECTURES if name not in BOTH_SIDES]
WORDS = 10, 20, 30, 40, 50, 60
LAYOUTS = {"bare": Template(), "surrounded": Template((7, 8, 9, 11, 12), (13, 14)), "slots": Template((7,), (9,), ((1, (8, 12)),), 3)}
ADDRESSES = ["mlp_act.1:3@last", "mlp_act.1:5@max", "resid_post.2:1@mean", "-resid_pre.1:2@anywhere", "mlp_act.1:7@1", "mlp_act.0:1@0"]


def every_text(count: int = 3) -> torch.Tensor:
    return torch.tensor(list(itertools.product(WORDS, repeat=count)))


def objective_of(name: str, layout: str = "bare", addresses=ADDRESSES, dtype=torch.float32) -> Objective:
    model = network(name, dtype)
    return Objective(model, resolve(addresses, model), 3, LAYOUTS[layout])


def whole(objective: Objective, texts: torch.Tensor) -> torch.Tensor:
    inputs = torch.tensor([[objective.template.fill(text) for text in own] for own in texts.tolist()])
    with torch.no_grad():
        values = torch.cat([_read_whole(objective.model, inputs, [part]) for part in objective._groups])
    return values[torch.tensor([i for part in objective._groups for i in part.members]).argsort()]


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_causal_models_read_on_and_others_do_not(name):
    assert (network(name).step is not None) == (name in CAUSAL)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", CAUSAL)
def test_scores_are_those_of_texts_read_whole(name, layout):
    objective = objective_of(name, layout)
    texts = every_text()[None]
    scores = objective.score(texts).activation
    expected = whole(objective, texts)
    torch.testing.assert_close(scores, expected, atol=1e-4, rtol=1e-4)
    assert expected[:3].std(1).min() > 0
    s = len(objective.template.fill([0, 0, 0]))
    after = {"bare": 0, "surrounded": 216 * 2, "slots": 6 * 2 + 216}[layout]
    assert objective.cost.spent.tolist() == pytest.approx([(len(objective.template.prefix) + 6 + 36 + 216 + after) / s] * len(ADDRESSES))


@pytest.mark.parametrize("name", ["gpt2", "llama", "gemma2"])
def test_half_precision_is_near(name):
    objective = objective_of(name, dtype=torch.bfloat16)
    texts = every_text()[None]
    scores, expected = objective.score(texts).activation, whole(objective, texts)
    assert objective.cost.spent.max() < 216
    assert ((scores - expected).abs().amax(1) <= 0.05 * expected.abs().amax(1)).all()


@pytest.mark.parametrize("name", ["gpt2", "llama", "gemma3"])
def test_each_target_may_judge_its_own_texts_and_hangs_on_no_other(name, monkeypatch):
    objective = objective_of(name, "surrounded", ["mlp_act.1:0-4@max"])
    texts, draw = every_text(), torch.Generator().manual_seed(0)
    few = texts[torch.randint(216, (5, 120), generator=draw)]
    few[3] = torch.randint(6, 60, (120, 3), generator=draw)  # hardly a prefix is shared
    for own in (few, few[:, :40]):
        scores = objective.score(own).activation
        torch.testing.assert_close(scores, whole(objective, own), atol=1e-4, rtol=1e-4)
        spent = objective.cost.spent
        other = own.roll(1, 0).clone()
        other[1] = own[1]
        again = objective.subset(range(5))
        assert torch.equal(again.score(other).activation[1], scores[1])
        objective = objective.subset(range(5))
        assert objective.cost.spent.max() == 0
        assert again.cost.spent[1] == spent[1]


def test_company_in_a_search_of_shared_texts_changes_no_bit():
    texts = every_text()[None]
    together = objective_of("llama", addresses=["mlp_act.1:0-40"])
    alone = objective_of("llama", addresses=["mlp_act.1:17"])
    assert torch.equal(together.score(texts).activation[17], alone.score(texts).activation[0])


@pytest.mark.parametrize("chunk", [1, 1 << 14, 1 << 16])
def test_memory_bounds_what_is_shared_and_nothing_else(chunk, monkeypatch):
    objective, texts = objective_of("llama"), every_text()[None]
    expected = objective.score(texts).activation
    monkeypatch.setattr(reading, "CHUNK", chunk)
    torch.testing.assert_close(objective.score(texts).activation, expected, atol=1e-5, rtol=1e-5)


def test_the_last_word_costs_a_third_of_a_forward():
    objective = objective_of("gpt2")
    texts = torch.tensor([[10, 20, word] for word in range(6, 134)])
    objective.score(texts[None])
    assert objective.cost.spent.tolist() == pytest.approx([(2 + 128) / 3] * len(ADDRESSES))


def test_few_texts_are_read_whole():
    objective = objective_of("gpt2")
    objective.score(every_text()[None, :4])
    assert objective.cost.spent.unique().tolist() == [4]


def test_a_model_that_cannot_read_on_is_read_whole():
    model = network("gpt2")
    broken = type(model)("broken", model.module, model.vocabulary, model.inputs.body, model.inputs.embedding, None, dict)
    assert broken.step is None
