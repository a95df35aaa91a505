"""One forward for all prefixes gives what each of them gives by itself."""

import pytest
import torch
from tiny_models import network

from optigram.apps.live.prefixes import prefix_activations
from optigram.errors import InputError
from optigram.objective.objective import Objective
from optigram.text.template import Template

POOLS = ("", "@max", "@mean", "@anywhere", "@3", "@1")


def one_by_one(objective, ids):
    """The activations by an objective for each length."""
    found = []
    for length in range(1, len(ids)):
        try:
            each = Objective(objective.model, objective.targets, length, objective.template)
            found.append(float(each.viewed("exact").score(torch.tensor([[ids[:length]]])).activation))
        except InputError:
            found.append(None)
    return found


@pytest.mark.parametrize("pool", POOLS)
@pytest.mark.parametrize("template", [None, "a {}", "a {} in the snow", "{4} a {2}"])
@pytest.mark.parametrize("name", ["gpt2", "bert", "llama"])
def test_all_prefixes_at_once(name, template, pool):
    model = network(name)
    ids = model.vocabulary.encode("two dogs play in the snow")[:6]
    around = Template.bare(model.vocabulary) if template is None else Template.parse(template, model.vocabulary)
    objective = Objective(model, f"mlp_act.1:3{pool}", len(ids), around)
    assert prefix_activations(objective, ids) == [
        value if value is None else pytest.approx(value, abs=1e-5) for value in one_by_one(objective, ids)
    ]


@pytest.mark.parametrize("pool", POOLS)
def test_all_prefixes_of_a_recurrent_model(tiny, pool):
    objective = Objective(tiny, f"visual:dog{pool}", 7)
    expected = one_by_one(objective, range(3, 10))
    assert prefix_activations(objective, range(3, 10)) == [value if value is None else pytest.approx(value, abs=1e-6) for value in expected]


def test_one_forward_for_a_causal_model(tiny, monkeypatch):
    shapes, read = [], type(tiny).read
    monkeypatch.setattr(type(tiny), "read", lambda self, embeds, *rest: shapes.append(embeds.shape[:2]) or read(self, embeds, *rest))
    prefix_activations(Objective(tiny, "visual:dog", 7), range(3, 10))
    assert shapes == [(1, 6)]
