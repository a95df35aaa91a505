"""A run of `find` that was killed goes on in its folder, and ends as it would have."""

import dataclasses

import pytest

import optigram as og
from optigram.methods.ascent import Ascent
from optigram.optimize.checkpoint import Checkpoint

SETTINGS = {"by": ("emb", "coordinate", "smx"), "budget": 200, "quiet": True, "no_cache": True}
ROUND = 10  # steps between two checkpoints
LENGTHS = {"one length": {"length": 3}, "lengths": {"length": "2-3"}}


class Killed(BaseException):
    """Ends a process at once."""


@pytest.fixture
def steps(monkeypatch):
    """The steps that ascents take, each of which writes a checkpoint; `steps.most` of them are taken before a kill."""

    class Steps:
        taken, most = 0, float("inf")

    step = Ascent._stepped

    def counted(self, climb, number):
        Steps.taken += 1
        if Steps.taken > Steps.most:
            raise Killed
        return step(self, climb, number)

    monkeypatch.setattr(Ascent, "_stepped", counted)
    monkeypatch.setattr(Checkpoint, "due", True)
    return Steps


def plain(results):
    return [dataclasses.replace(record, seconds=0.0) for record in results.records]


@pytest.mark.parametrize("lengths", LENGTHS.values(), ids=LENGTHS)
def test_a_killed_run_goes_on_in_its_folder(tiny, tmp_path, steps, lengths):
    whole = og.find(tiny, ["visual:0-1", "language:a"], **SETTINGS, **lengths)
    every = steps.taken
    for most in (every // 5, every // 2, every - every // 5):  # in the first method, in the middle, in the last one
        steps.taken, steps.most = 0, most
        with pytest.raises(Killed):
            og.find(tiny, ["visual:0-1", "language:a"], **SETTINGS, **lengths, out=tmp_path / str(most))
        before, steps.most = steps.taken - 1, float("inf")
        steps.taken = 0
        assert plain(og.find(tiny, ["visual:0-1", "language:a"], **SETTINGS, **lengths, out=tmp_path / str(most))) == plain(whole)
        assert steps.taken <= every - before + ROUND, "steps were taken again"
        assert sorted(path.name for path in (tmp_path / str(most)).iterdir()) == ["manifest.json", "records.parquet"]


def test_it_is_said_that_a_run_goes_on(tiny, tmp_path, steps, capsys):
    settings = {"by": "emb", "budget": 100, "length": 3, "out": tmp_path / "run", "quiet": False}
    steps.most = 20
    with pytest.raises(Killed):
        og.find(tiny, "visual:0", **settings)
    assert "go on" not in capsys.readouterr().err
    steps.most = float("inf")
    og.find(tiny, "visual:0", **settings)
    assert "go on" in capsys.readouterr().err


def test_another_run_begins_anew_and_a_function_always_does(tiny, tmp_path, steps):
    function = og.custom(lambda states, mask: states["visual"][..., 0], "visual")
    for number, (target, other) in enumerate((("visual:0", {"seed": 1}), (function, {}))):
        settings = {"by": "smx", "budget": 100, "length": 3, "quiet": True}
        steps.taken, steps.most = 0, float("inf")
        whole = og.find(tiny, target, **settings, **other)
        every, steps.taken, steps.most = steps.taken, 0, 5
        with pytest.raises(Killed):
            og.find(tiny, target, **settings, out=tmp_path / str(number))
        steps.taken, steps.most = 0, float("inf")
        assert plain(og.find(tiny, target, **settings, **other, out=tmp_path / str(number))) == plain(whole)
        assert steps.taken == every
