"""The examples of CONTRIBUTING.md: a method, a relaxation, a target and a model from outside the package, run as they stand."""

import importlib
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import optigram as og
from optigram.methods import Ascent, Then, chains, method_named
from optigram.objective.objective import Objective
from optigram.optimize.method import check_method
from optigram.optimize.search import Budget, search
from optigram.runs.find import run_methods
from optigram.runs.options import FindOptions
from optigram.targets.build import custom
from optigram.targets.target import resolve

GUIDE = Path(__file__).parent.parent / "CONTRIBUTING.md"
BLOCK = re.compile(r"```python\n# (\w+)\.py\n(.*?)```", re.DOTALL)
EXAMPLES = dict(BLOCK.findall(GUIDE.read_text(encoding="utf-8")))
LINES = 40
WORDS = tuple("abcdefghijklmnop")


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """Modules of the examples: {name: module}, importable by name."""
    folder = tmp_path_factory.mktemp("own")
    for name, code in EXAMPLES.items():
        (folder / f"{name}.py").write_text(code)
    sys.path.insert(0, str(folder))
    yield {name: importlib.import_module(name) for name in EXAMPLES}
    sys.path.remove(str(folder))
    for name in EXAMPLES:
        del sys.modules[name]


@pytest.fixture
def objective(own):
    model = own["bag"].Bag(WORDS)
    return Objective(model, resolve([custom(own["contrast"].contrast, "act"), "mean:2@max"], model), 4)


def best_by_enumeration(objective) -> np.ndarray:
    """The best activations [k] of all texts, from the definition of the example model and target, in NumPy."""
    ids = np.stack(np.meshgrid(*[objective.lexicon.numpy()] * objective.length, indexing="ij"), -1).reshape(-1, objective.length)
    mean = objective.model.embedding.numpy()[ids].cumsum(1) / np.arange(1, objective.length + 1)[:, None]
    act = np.tanh(3 * mean[:, -1])
    return np.array([(act[:, 0] - act[:, 1]).max(), mean[..., 2].max()])


def test_every_example_is_short():
    assert set(EXAMPLES) == {"climb", "sharpening", "contrast", "bag"}
    for code in EXAMPLES.values():
        assert len([line for line in code.splitlines() if line.strip()]) < LINES


def test_a_method_a_relaxation_and_a_model_from_outside_reach_the_optimum(objective, own):
    relaxed = Ascent(own["sharpening"].Sharpening(), steps=100, rate=0.5, restarts=4, every=10)
    for method in (own["climb"].Climb(), relaxed, Then(relaxed, own["climb"].Climb())):
        check_method(method)
        found = search(objective, method, Budget(forwards=1500), seed=1).found
        best = np.array([float(one.activation[0]) for one in found])
        optimum = best_by_enumeration(objective)
        assert (best <= optimum + 1e-5).all()
        assert (best > 0.9 * optimum).all()


def test_a_result_of_theirs_does_not_depend_on_other_targets(objective, own):
    relaxed = Ascent(own["sharpening"].Sharpening(), steps=30, rate=0.5, restarts=2, every=10)
    for method in (own["climb"].Climb(), relaxed):
        together = search(objective, method, Budget(forwards=300), seed=1).found[1]
        alone = search(Objective(objective.model, objective.targets[1:], 4), method, Budget(forwards=300), seed=1).found[0]
        assert torch.equal(together.ids, alone.ids)
        assert torch.equal(together.activation, alone.activation)


def test_a_run_takes_them_as_objects_and_as_import_paths(objective, own):
    climb = own["climb"].Climb(8)
    found = list(run_methods(objective, FindOptions(by=("climb.Climb", climb, "smx+climb:Climb"), budget=300, seed=2)))
    assert [one.method for one in found] == ["climb.Climb", "Climb(texts=8)", "smx+climb:Climb"]
    for one in found:
        assert len(one.records) == len(objective.targets)
        assert all(record.forwards + record.backwards <= 300 for record in one.records)
    assert found[1].records[0].settings == "Climb(texts=8)"
    with_objects = search(objective, method_named("climb.Climb"), Budget(forwards=300), seed=2).found
    assert [record.activation for record in found[0].records] == [float(one.activation[0]) for one in with_objects]


def test_a_function_of_the_states_is_the_same_target_as_the_address_of_what_it_computes(objective):
    ids, model = objective.lexicon[:8].view(1, 2, 4), objective.model
    function, address = objective.subset([0]), Objective(model, resolve(["act:0 - act:1"], model), 4)
    torch.testing.assert_close(function.score(ids).activation, address.score(ids).activation)
    torch.testing.assert_close(function.gradient(ids), address.gradient(ids))


def test_the_front_door_takes_all_four_at_once(own, tmp_path):
    model, climb = own["bag"].Bag(WORDS), own["climb"].Climb(8)
    relaxed = Ascent(own["sharpening"].Sharpening(), steps=30, rate=0.5, restarts=2, every=10)
    results = og.find(model, custom(own["contrast"].contrast, "act"), by=[climb, relaxed], length=4, budget=300, quiet=True)
    assert [record.method for record in results] == ["Climb(texts=8)", chains.Chain.parse(relaxed).name]
    for record in results:
        (again,) = og.score(model, record.target, [record.text], quiet=True)
        assert again.activation == pytest.approx(record.activation)
    results.save(tmp_path / "run")
    assert [record.text for record in og.open(tmp_path / "run")] == [record.text for record in results]
