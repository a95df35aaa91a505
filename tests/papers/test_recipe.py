"""The recipe against the paper's facts."""

import functools

import numpy as np
import pytest
import torch

from optigram.methods import method_named
from optigram.methods.gumbel import Gumbel
from optigram.models.imaginet import Imaginet, Sizes
from optigram.objective.objective import Objective
from optigram.papers.poerner2018 import recipe, reproduce
from optigram.targets.target import resolve


@pytest.fixture(scope="module")
def wide() -> Imaginet:
    return Imaginet(tuple(f"w{i}" for i in range(1200)), (), Sizes(8, 8, 2000))


def test_both_layers_have_the_authors_neurons(wide):
    """Index 0 is a special token of the language layer, here as there."""
    assert len(recipe._neurons_of(wide, "visual")) == 160
    assert set(recipe._neurons_of(wide, "visual")) - set(recipe._neurons_of(wide, "language")) == {0}


def test_every_arm_of_the_study(wide):
    wide.name = "wide"
    found = recipe.study("paper", wide)
    assert [arm.name for arm in found.arms] == ["modern", "faithful", "fair", "random directions", "random weights"]
    assert found.arms[1].methods == ("crp", "emb:faithful", "logit:faithful", "smx:faithful", "gbl:faithful")
    assert found.arms[1].budget is None
    assert found.arms[2].budget == method_named("gbl:fair").forwards == 500 * 200 * 64 * 3 + 501
    assert found.arms[0].seeds == (0, 1, 2)


def test_the_small_scale_has_groups_of_at_least_forty_and_three_seeds(wide):
    small = {arm.name: arm for arm in recipe.study("small", wide).arms}
    assert all(target.count(",") + 1 >= 40 for arm in small.values() for target in arm.targets)
    assert small["modern"].seeds == (0, 1, 2)
    assert "fair" not in small


def test_the_medium_scale_has_the_small_ones_neurons_first_and_full_lengths(wide):
    small, medium = ({arm.name: arm for arm in recipe.study(scale, wide).arms} for scale in ("small", "medium"))
    for name in ("modern", "faithful"):
        for few, many in zip(small[name].targets, medium[name].targets, strict=True):
            assert many.startswith(few)
    assert medium["full length"].methods == ("crp", "emb:faithful", "logit:faithful", "smx:faithful")
    assert medium["gumbel at full length"].methods == ("crp", "gbl:faithful")
    assert [target.count(",") + 1 for target in medium["full length"].targets] == [80, 80]


def test_every_beginning_is_spread():
    order = recipe._spread(range(160))
    assert sorted(order) == list(range(160))
    for count in (4, 16, 48):
        assert np.diff(sorted([*order[:count], 160])).max() <= 2 * 160 / count


def test_the_neurons_of_table_1_are_those_that_the_model_has():
    model = Imaginet(("left", "right", "umbrella"), ("pizza", "zebra"), Sizes(8, 8, 2), name="named")
    assert recipe.study("small", model).arms[-1].targets == ("language:umbrella,left", "visual:pizza")


def test_a_shortened_run_goes_the_same_way():
    """Rate and cooling grow as steps fall: the path of logits and the temperature at the end are the authors'."""
    whole, short = method_named("gbl:faithful"), method_named("gbl:faithful/100")
    assert isinstance(whole.relaxation, Gumbel)
    assert isinstance(short.relaxation, Gumbel)
    assert whole.steps * whole.rate == pytest.approx(short.steps * short.rate)
    for step in (100, 10_000, 50_000):
        assert whole.relaxation.temperature(step) == pytest.approx(short.relaxation.temperature(step // 100), rel=1e-9)
    assert (short.every, short.patience, short.steps) == (2, 200, 2000)


def test_fair_runs_cost_what_gumbel_costs():
    budget = recipe._equal_budget(200)
    costs = [method_named(name, budget).forwards for name in recipe._authors("fair", 200)[1:]]
    assert all(0.8 * budget < cost <= budget for cost in costs)
    assert method_named("gbl:fair/200", budget).restarts == 1


def test_the_papers_step_is_36_gigaflop():
    """V = 27,409, 1024 units: 5.3 of the notes; the GRU adds its part."""
    model = Imaginet(tuple(f"w{i}" for i in range(27406)), (), Sizes(1024, 1024, 1))
    assert reproduce._gumbel_operations(model) == pytest.approx(36e9 + 8e9, rel=0.03)


def test_groups_of_hidden_units_are_an_arm_of_means(tiny, every_text, monkeypatch):
    """Eight units make three groups here, where the paper's 1024 make 80."""
    plain = recipe.study("small", tiny)
    assert recipe._with_groups(plain, "small", tiny, every_text) == plain  # 80 groups of eight units are no groups
    monkeypatch.setattr(recipe, "_groups_of", functools.partial(recipe._groups_of, count=3))
    found = recipe._with_groups(plain, "small", tiny, every_text)
    (arm,) = found.arms[len(plain.arms) :]
    assert arm.name == recipe.GROUPS
    for target in resolve(arm.targets, tiny):
        assert len(target.terms) > 1
        assert sum(term.weight for term in target.terms) == pytest.approx(1, abs=1e-5)


def test_the_mean_of_a_group_is_the_objectives(tiny, every_text):
    address = recipe._mean_of("visual.hidden", [1, 2, 7])
    units = Objective(tiny, resolve(["visual.hidden:1,2,7"], tiny), 3).score(torch.from_numpy(every_text)[None]).activation
    mean = Objective(tiny, resolve([address], tiny), 3).score(torch.from_numpy(every_text)[None]).activation
    assert mean[0].numpy() == pytest.approx(units.mean(0).numpy(), abs=1e-5)
