"""A search that was killed goes on from its checkpoint, and ends as it would have."""

import dataclasses
import pickle

import pytest
import torch

from optigram.methods import paper as presets
from optigram.methods.ascent import Ascent
from optigram.methods.combinators import Then
from optigram.methods.registry import SEARCHES
from optigram.objective.contexts import Contexts
from optigram.objective.fluency import Fluency
from optigram.objective.objective import Objective
from optigram.optimize.checkpoint import FORMAT, Checkpoint, Progress, work_of
from optigram.optimize.search import Budget, search
from optigram.text.template import Template

FEW = 160  # forward-equivalents a target
BUDGET = Budget(forwards=FEW)
ASCENTS = [
    *(dataclasses.replace(presets.faithful(label), steps=23, every=5, patience=2) for label in presets.GRADIENT),
    *(presets.modern(label, FEW) for label in presets.GRADIENT),
    dataclasses.replace(presets.modern("smx", FEW), shortlist=4, patience=3),
]


class Killed(BaseException):
    """Ends a process at once."""


def killed_after(rounds):
    """A watch that kills the search in the round after so many."""
    left = [rounds]

    def watch(done, best):
        left[0] -= 1
        if left[0] < 0:
            raise Killed

    return watch


def assert_same(one, other):
    for left, right in zip(one.found, other.found, strict=True):
        parts = [dataclasses.asdict(dataclasses.replace(found, seconds=0.0)) for found in (left, right)]
        torch.testing.assert_close(*parts, atol=0, rtol=0, equal_nan=True)


@pytest.fixture
def stepped(monkeypatch):
    """The number of each step that an ascent takes."""
    taken, step = [], Ascent._stepped

    def counted(self, climb, number):
        taken.append(number)
        return step(self, climb, number)

    monkeypatch.setattr(Ascent, "_stepped", counted)
    return taken


@pytest.mark.parametrize("method", ASCENTS, ids=repr)
@pytest.mark.parametrize("rounds", [0, 2])
def test_a_killed_search_ends_as_it_would_have(method, rounds, objective, tmp_path, stepped):
    whole = search(objective, method, seed=3, n=2)
    full, stepped[:] = len(stepped), []
    for more in (0, 1):  # killed twice
        with pytest.raises(Killed):
            search(objective, method, seed=3, n=2, watch=killed_after(rounds + more), checkpoint=Checkpoint(tmp_path / "c", 0))
    assert_same(search(objective, method, seed=3, n=2, checkpoint=Checkpoint(tmp_path / "c", 0)), whole)
    assert len(stepped) == full, "steps were taken again"


def test_a_search_from_given_texts_and_its_front_go_on_too(objective, tiny, tmp_path):
    priced = Objective(tiny, objective.targets[:2], 3, fluency=Fluency(0.1))
    method, start = presets.modern("smx", FEW), torch.full((2, 1, 3), 4)
    whole = search(priced, method, BUDGET, 1, start=start, front=True)
    with pytest.raises(Killed):
        search(priced, method, BUDGET, 1, 1, killed_after(3), start, True, Checkpoint(tmp_path / "c", 0))
    assert_same(search(priced, method, BUDGET, 1, start=start, front=True, checkpoint=Checkpoint(tmp_path / "c", 0)), whole)


@pytest.mark.parametrize("method", [presets.modern("emb", FEW), SEARCHES["coordinate"](FEW, False)], ids=["ascent", "coordinate"])
def test_batches_that_are_done_are_not_run_again(method, objective, tmp_path, monkeypatch):
    objective = objective.subset([0, 3, 4, 5])  # of one site, each target a batch
    whole = search(objective, method.with_block(1), BUDGET)
    begun, propose = [], type(method).propose

    def counted(self, objective, seed, start=None):
        begun.append(objective.targets[0])
        return propose(self, objective, seed, start)

    monkeypatch.setattr(type(method), "propose", counted)
    rounds = len(whole.found[0].trace) + len(whole.found[1].trace)
    with pytest.raises(Killed):
        search(objective, method.with_block(1), BUDGET, watch=killed_after(rounds), checkpoint=Checkpoint(tmp_path / "c", 0))
    assert begun == [*objective.targets[:3]]
    assert_same(search(objective, method.with_block(1), BUDGET, checkpoint=Checkpoint(tmp_path / "c", 0)), whole)
    again = objective.targets[3 if isinstance(method, Ascent) else 2 :]  # an ascent goes on within a batch
    assert begun == [*objective.targets[:3], *again]


def test_another_search_does_not_read_the_checkpoint(objective, tmp_path):
    method = presets.modern("emb", FEW)
    search(objective, method, BUDGET, seed=1, checkpoint=Checkpoint(tmp_path / "c", 0))
    for other in ({"seed": 2}, {"seed": 1, "n": 2}, {"seed": 1, "start": torch.full((len(objective.targets), 1, 3), 4)}):
        assert_same(
            search(objective, method, BUDGET, **other, checkpoint=Checkpoint(tmp_path / "c", 1000)),
            search(objective, method, BUDGET, **other),
        )


def test_the_checkpoint_of_another_objective_is_not_read(tiny, tmp_path):
    def made(slots, over="mean", **more):
        fixed = [Template.parse(one, tiny.vocabulary) for one in slots]
        return Contexts([Objective(tiny, "visual:0", 3, template, **more) for template in fixed], over)

    objectives = [made(("a {3}", "b {3}")), made(("a {3}", "c {3}")), made(("a {3}", "b {3}"), "min"), Objective(tiny, "visual:0", 3)]
    objectives += [Objective(tiny, "visual:0", 3, fluency=Fluency(0.1, second=second)) for second in (None, tiny)]
    assert len({work_of(objective, presets.modern("emb", FEW)) for objective in objectives}) == len(objectives)
    assert work_of(objectives[0], presets.modern("emb", FEW)) == work_of(made(("a {3}", "b {3}")), presets.modern("emb", FEW))


def test_a_method_that_cannot_go_on_begins_anew(objective, tmp_path, stepped):
    method = Then(presets.modern("smx", FEW / 2), SEARCHES["coordinate"](FEW, False))
    whole, full = search(objective, method, BUDGET), len(stepped)
    with pytest.raises(Killed):
        search(objective, method, BUDGET, watch=killed_after(4), checkpoint=Checkpoint(tmp_path / "c", 0))
    stepped.clear()
    assert_same(search(objective, method, BUDGET, checkpoint=Checkpoint(tmp_path / "c", 0)), whole)
    assert len(stepped) == full


def test_a_checkpoint_is_written_when_it_is_due_and_removed_when_asked(objective, tmp_path):
    rare = Checkpoint(tmp_path / "c", 1000)
    search(objective, presets.modern("emb", FEW), BUDGET, checkpoint=rare)
    assert not (tmp_path / "c").exists()
    often = Checkpoint(tmp_path / "c", 0)
    search(objective, presets.modern("emb", FEW), BUDGET, checkpoint=often)
    assert len(often.read().done) == len(objective.targets)
    assert not rare.due
    often.remove()
    often.remove()
    assert not (tmp_path / "c").exists()


class _Harmful:
    def __reduce__(self):
        return (pytest.fail, ("unpickled",))


@pytest.mark.parametrize("content", [b"", b"no checkpoint", pickle.dumps(_Harmful(), protocol=2)], ids=["empty", "text", "pickle"])
def test_what_is_no_checkpoint_is_not_read(content, tmp_path):
    (tmp_path / "c").write_bytes(content)
    assert Checkpoint(tmp_path / "c").read() == Progress()


WHOLE = {"format": FORMAT, "done": [], "batch": None, "method": None, "work": ""}
OTHERS = {
    "another format": {**WHOLE, "format": 0},
    "no format": {},
    "no dict": [1, 2],
    "a field less": {name: WHOLE[name] for name in WHOLE if name != "work"},
    "a result of other fields": {**WHOLE, "done": [{"score": 1.0}]},
    "an object that runs code": {**WHOLE, "batch": _Harmful()},
}


@pytest.mark.parametrize("content", OTHERS.values(), ids=OTHERS)
def test_a_checkpoint_with_other_content_is_not_read(content, tmp_path):
    torch.save(content, tmp_path / "c")
    assert Checkpoint(tmp_path / "c").read() == Progress()
