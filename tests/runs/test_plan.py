"""What a method's name stands for, in view of the objective."""

import pytest
import torch

from models.tiny_models import network
from optigram.methods.ascent import Ascent
from optigram.methods.coordinate import Coordinate
from optigram.methods.gcg import Gcg
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


def test_batches_fill_the_memory_of_a_gpu(tiny, monkeypatch):
    """Of a device that says it is one; no tensor is on it."""

    class Card:
        total_memory = 4 * 5000 * 4 * 3 * (plan.HELD * 4 + 64 * 8)

    objective = Objective(tiny, "visual:dog", 3)
    monkeypatch.setattr(objective, "device", torch.device("cuda"))
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: Card)
    monkeypatch.setattr(objective, "table", torch.zeros(len(objective.lexicon), 8))
    words = len(objective.lexicon)
    fits = Card.total_memory // 4 // (4 * 3 * (plan.HELD * words + 64 * 8))
    found = Plan.of("gbl", objective, None, 1000)
    assert found.method.block == 1 << (fits.bit_length() - 1) > Ascent.block
    Card.total_memory = 1000
    assert Plan.of("gbl", objective, None, 1000).method.block == Ascent.block


@pytest.mark.parametrize(("name", "length", "kind"), [("gpt2", 12, Coordinate), ("bert", 12, Gcg), ("bert", 8, Coordinate)])
def test_auto_takes_gcg_for_long_texts_that_do_not_share_prefixes(name, length, kind):
    objective = Objective(network(name), ["mlp_act.1:0@max"], length)
    assert isinstance(Plan.of("auto", objective, None, 1000).method, kind)
