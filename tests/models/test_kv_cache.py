"""Causal transformers read on from where they stopped: the same scores as when every text is read whole, for less."""

import copy
import dataclasses
import itertools

import pytest
import torch
from tiny_models import ARCHITECTURES, network

from optigram.models.bodies import Body
from optigram.models.kv_cache import CachedReader
from optigram.objective import forward, prefix_forward
from optigram.objective.fluency import Fluency
from optigram.objective.forward import read_whole
from optigram.objective.objective import Objective
from optigram.objective.prefix_tree import cheapest_ends, prefix_counts, sorted_order
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
        values = torch.cat([read_whole(objective.model, inputs, [part]) for part in objective._groups])
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
    least = (len(objective.template.prefix) + 6 + 36 + 216 + after) / s
    assert len(objective.cost.spent.unique()) == 1
    assert least <= float(objective.cost.spent[0]) < 216
    thorough = objective.deterministic()  # which shares every prefix
    torch.testing.assert_close(thorough.score(texts).activation, expected, atol=1e-4, rtol=1e-4)
    assert thorough.cost.spent.tolist() == pytest.approx([least] * len(ADDRESSES))


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
    monkeypatch.setattr(prefix_forward, "CHUNK", chunk)
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
    broken = type(model)("broken", model.module, model.vocabulary, Body(model.inputs.body, model.inputs.embedding), dict)
    assert broken.step is None


def counted(model, monkeypatch) -> list:
    """The shapes [n, r] of the calls that continue texts from now on."""
    calls, run = [], model.step.run
    monkeypatch.setattr(
        model, "_step", dataclasses.replace(model.step, run=lambda ids, *rest: calls.append(tuple(ids.shape)) or run(ids, *rest))
    )
    return calls


@pytest.mark.parametrize("place", [0, 14, 29])
def test_words_where_nothing_branches_are_one_call(place, monkeypatch):
    """4 x 64 texts of 30 words that differ in one: word by word these would be 105 calls."""
    model, draw = network("gpt2"), torch.Generator().manual_seed(0)
    objective = Objective(model, resolve(["mlp_act.1:3@max"], model), 30)
    texts = torch.randint(6, 60, (4, 30), generator=draw).repeat_interleave(64, 0)
    texts[:, place] = torch.arange(6, 70).repeat(4)
    calls = counted(model, monkeypatch)
    scores = objective.score(texts[None]).activation
    torch.testing.assert_close(scores, whole(objective, texts[None]), atol=1e-4, rtol=1e-4)
    if place:
        assert len(calls) <= 7
        assert float(objective.cost.spent[0]) == pytest.approx((4 * place + 256 * (30 - place)) / 30)
    else:
        assert not calls  # nothing is shared, so they are read whole
        assert float(objective.cost.spent[0]) == 256


@pytest.mark.parametrize(("overhead", "copying"), [(0, 0.0), (3, 0.0), (64, 0.1), (8, 2.0)])
def test_the_levels_are_the_cheapest_of_all(overhead, copying):
    """Against every set of levels, added up by hand."""
    step = dataclasses.replace(network("gpt2").step, overhead=overhead, copying=copying)
    ends, draw = [1, 2, 4, 5, 7], torch.Generator().manual_seed(1)
    rows = torch.cat([torch.arange(3).repeat_interleave(40)[:, None], torch.randint(4, (120, 7), generator=draw)], 1)
    rows[40:80, 1:6] = 0
    texts = rows[sorted_order(rows)].view(3, 40, 8)
    levels, work = cheapest_ends(step, prefix_counts(texts, ends), ends)

    def price(own: list, chosen: tuple) -> float:
        total = 0.0
        for begin, end in zip((0, *chosen), chosen, strict=False):
            left = len({tuple(row[1 : end + 1]) for row in own})
            while left > 0:  # a block that would be more than half full, else the next smaller one
                size = next(size for size in step.blocks if left >= size // 2 + (size > 8) or size == 8)
                total, left = total + overhead + size * (end - begin + copying * begin), left - size
        return total

    for own, found, cost in zip(texts.tolist(), levels, work, strict=True):
        every = [(*some, 7) for count in range(5) for some in itertools.combinations(ends[:-1], count)]
        assert price(own, found) == pytest.approx(cost) == pytest.approx(min(price(own, some) for some in every))


def test_where_some_sites_differ_the_others_still_share(monkeypatch):
    """One site of the last block is off, as by rounding in a deep network: only its targets are read whole."""
    model, run = network("llama"), CachedReader.run

    def off(self, ids, carried, sites):
        states, carried = run(self, ids, carried, sites)
        return {site: state + (site == "mlp_act.1") * 0.1 * state.abs().max() for site, state in states.items()}, carried

    with monkeypatch.context() as patch:
        patch.setattr(CachedReader, "run", off)
        partly = type(model)("partly", model.module, model.vocabulary, Body(model.inputs.body, model.inputs.embedding), model._new_cache)
        assert partly.step is not None
        assert [partly.step.serves([site]) for site in ("mlp_act.0", "mlp_act.1")] == [True, False]
    texts = every_text()[None]
    for address, shares in (("mlp_act.0:3", True), ("mlp_act.1:3", False)):
        objective = Objective(partly, resolve([address], partly), 3)
        torch.testing.assert_close(objective.score(texts).activation, whole(objective, texts), atol=1e-4, rtol=1e-4)
        assert (float(objective.cost.spent[0]) < 216) == shares
        company = Objective(partly, resolve(["mlp_act.0:3", "mlp_act.1:3"], partly), 3)
        assert torch.equal(company.score(texts).activation[int(not shares)], objective.score(texts).activation[0])


def test_a_site_that_was_not_tried_is_tried_when_it_is_asked_for():
    model = network("gpt2")
    path = "transformer.h.1.ln_1"
    objective = Objective(model, resolve([f"{path}:3"], model), 3)
    objective.score(every_text()[None])
    assert float(objective.cost.spent[0]) < 216


@pytest.mark.parametrize("name", ["gpt2", "gemma2"])
@pytest.mark.parametrize("shared", [True, False])
def test_the_surprisal_is_read_on_too(name, shared):
    model, texts = network(name), every_text()
    targets = resolve(["mlp_act.1:0-3@max"], model)
    own = texts[None] if shared else torch.stack([texts[torch.randperm(216, generator=torch.Generator().manual_seed(k))] for k in range(4)])
    twin = copy.copy(model)
    one, two = (Objective(model, targets, 3, LAYOUTS["surrounded"], fluency=Fluency(0.1, model=m)) for m in (None, twin))
    found, expected = one.score(own), two.score(own)
    torch.testing.assert_close(found.surprisal, expected.surprisal, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(found.activation, expected.activation, atol=1e-4, rtol=1e-4)
    assert float(one.cost.spent[0]) < 216 < float(two.cost.spent[0])


@pytest.mark.parametrize("overhead", [0, 1024])
def test_on_a_device_the_texts_of_all_targets_share_their_calls(overhead, monkeypatch):
    """As on a GPU, where a call costs the same for few texts as for many: here the CPU says that it is one."""
    monkeypatch.setattr(forward, "_far", lambda rows: True)
    objective = objective_of("gpt2", "bare", ["mlp_act.1:0-4@max"])
    texts = every_text()[torch.randint(216, (5, 40), generator=torch.Generator().manual_seed(0))]
    model, expected = objective.model, whole(objective, texts)
    monkeypatch.setattr(model, "_step", dataclasses.replace(model.step, overhead=overhead, copying=0.0))
    calls = counted(model, monkeypatch)
    torch.testing.assert_close(objective.score(texts).activation, expected, atol=1e-4, rtol=1e-4)
    assert len(calls) == (1 if overhead else 3)  # all texts at once, or one call for each word
    assert (objective.cost.spent < 40).all()
