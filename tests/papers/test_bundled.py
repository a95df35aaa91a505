import itertools

import torch

from optigram.methods import paper as presets
from optigram.models.loading import BUNDLED, bundled, load, read_config
from optigram.objective.objective import Objective
from optigram.optimize.search import search
from optigram.papers.poerner2018.demo import TARGETS
from optigram.runs.corpus import corpus_for
from optigram.runs.find import run_methods
from optigram.runs.options import FindOptions
from optigram.targets.target import resolve
from optigram.text.sources import open_corpus


def test_it_is_small_and_as_good_as_its_card_says():
    assert sum(path.stat().st_size for path in bundled().iterdir()) < 12e6
    config = read_config(bundled())
    assert config["validation"]["language"] < 3.3
    assert config["validation"]["visual"] > 0.8
    card = (bundled() / "CARD.md").read_text()
    for part in ("validation", "test"):
        for name in ("language", "visual"):
            assert f"{config[part][name]:.3f}" in card


def test_its_sentences_are_its_own():
    model = load(BUNDLED)
    texts = list(corpus_for(model, None).texts())
    assert len(texts) == 20_000
    assert {word for text in texts for word in text.split()} <= set(model.words)


def test_gumbel_beats_corpus_search_on_the_demo_neurons():
    """At a tenth of the demo's budget, on a neuron of each path."""
    model = load(BUNDLED)
    objective = Objective(model, resolve([*TARGETS[:1], *TARGETS[-1:]], model), 5)
    few = open_corpus(itertools.islice(corpus_for(model, None).texts(), 1500))
    crp, gbl = run_methods(objective, FindOptions(by="crp,gbl", budget=500), few)
    pairs = list(zip(crp.records, gbl.records, strict=True))
    assert sum(found.activation > base.activation for base, found in pairs) == 2
    assert all(record.survives for _, record in pairs)
    again = objective.score(torch.tensor([[record.ids] for record in gbl.records])).activation[:, 0]
    torch.testing.assert_close(again, torch.tensor([record.activation for record in gbl.records]), atol=1e-5, rtol=0)


def test_a_result_is_independent_of_its_batch_at_real_sizes():
    model, method = load(BUNDLED), presets.modern("gbl", 60)
    together = Objective(model, resolve(["visual:dog", "visual:0-2", "language:5"], model), 5)
    for target, found in list(zip(together.targets, search(together, method).found, strict=True))[::4]:
        alone = search(Objective(model, [target], 5), method).found[0]
        assert torch.equal(alone.ids, found.ids)
        assert torch.equal(alone.activation, found.activation)
        assert alone.notes == found.notes
