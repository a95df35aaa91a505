"""What a method's name stands for, in view of the objective."""

import pytest

from optigram.methods.ascent import Ascent
from optigram.objective.fluency import Fluency
from optigram.objective.objective import Objective
from optigram.runs import plan, run
from optigram.runs.options import FindOptions
from optigram.runs.plan import Plan
from optigram.runs.run import Prepared


@pytest.fixture
def large(monkeypatch):
    """Three words are many."""
    monkeypatch.setattr(plan, "LARGE", 3)
    monkeypatch.setattr(run, "LARGE", 3)


def built(tiny, name: str, **more) -> Ascent:
    return Plan.of(name, Objective(tiny, "visual:dog", 3, **more), None, 1000).method


def test_gbl_keeps_a_shortlist_where_there_are_many_words(tiny, large):
    assert built(tiny, "gbl") == built(tiny, "sgbl")
    assert Plan.of("gbl", Objective(tiny, "visual:dog", 3), None, 1000).name == "gbl"
    for other in "smx", "gbl:fair/200":
        assert built(tiny, other).shortlist is None
    assert built(tiny, "gbl", fluency=Fluency(0.1)).shortlist is None  # surprisal needs all words


def test_it_keeps_all_words_where_there_are_fewer(tiny):
    assert built(tiny, "gbl").shortlist is None


def test_it_is_said(tiny, large):
    told = []
    Prepared.of(tiny, "visual:dog", FindOptions(by="gbl", length=3), remark=told.append)
    assert any("gbl runs as sgbl" in text and "over 3 words (7)" in text for text in told)
    told.clear()
    Prepared.of(tiny, "visual:dog", FindOptions(by="coordinate", length=3), remark=told.append)
    assert not any("sgbl" in text for text in told)
