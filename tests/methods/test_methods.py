import dataclasses
import math

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from optigram.errors import InputError
from optigram.methods import Beam, Corpus, Epo, Gcg, Random
from optigram.methods import paper as presets
from optigram.methods.ascent import Ascent
from optigram.methods.combinators import Repeat, Then
from optigram.methods.coordinate import Coordinate
from optigram.methods.gumbel import Gumbel
from optigram.methods.moves import top_words
from optigram.methods.optima import Best, Windows
from optigram.methods.registry import SEARCHES
from optigram.methods.relaxations import Embeddings, Logits, Softmax, Start
from optigram.methods.simplex import Simplex
from optigram.methods.slopes import Slopes
from optigram.objective.fluency import Fluency
from optigram.objective.objective import Objective
from optigram.optimize.method import check_method
from optigram.optimize.search import Budget, search
from optigram.runs.plan import Plan
from optigram.targets.target import resolve
from toy import Toy

SMALL = {
    "beam": {"width": 3, "candidates": 4, "block": 96},
    "coordinate": {"chains": 2, "candidates": 3, "block": 96},
    "epo": {"slots": 3, "children": 4, "among": 3, "restart": 3, "block": 48},
    "gcg": {"candidates": 5, "among": 3, "block": 80},
    "mcgcg": {"candidates": 5, "among": 3, "block": 80},
    "genetic": {"population": 8, "block": 32},
    "random": {"texts": 16, "block": 64},
}
FEW = 160  # forward-equivalents a target
BUDGET = Budget(forwards=FEW)
METHODS = [
    *(presets.modern(label, FEW) for label in presets.GRADIENT),
    *(dataclasses.replace(presets.faithful(label), steps=20, every=10) for label in presets.GRADIENT),
    *(dataclasses.replace(build(FEW, False), **SMALL.get(name, {})) for name, build in SEARCHES.items()),
    Then(presets.modern("smx", FEW / 2), Coordinate(chains=2, candidates=3, block=96)),
    Coordinate(chains=2, candidates=4, block=96, scouts=4),
    Coordinate(chains=2, candidates=4, block=96, rounds=2),
    dataclasses.replace(SEARCHES["sgbl"](FEW, False), shortlist=4),
    Then(Coordinate(chains=2, candidates=3, block=96, sweeps=1), dataclasses.replace(SEARCHES["sgbl"](FEW, False), shortlist=4)),
    dataclasses.replace(presets.modern("smx", FEW), shortlist=4),
    Repeat(presets.modern("smx", FEW / 2), 2),
]


@pytest.fixture
def corpus(every_text) -> Corpus:
    return Corpus("every text", every_text)


@pytest.mark.parametrize("method", {type(method): method for method in reversed(METHODS)}.values(), ids=repr)
def test_random_numbers_come_from_the_vector_of_a_file_and_not_from_its_path(method, tmp_path):
    def first(vector, path):
        save_file({"probe": vector}, tmp_path / path)
        return next(method.propose(Objective(Toy(), f"resid:{tmp_path / path}#probe", 6), 3, None)).ids

    vector = torch.arange(8.0)
    here = first(vector, "here.st")
    assert torch.equal(first(vector, "there.st"), here)
    assert not torch.equal(first(vector + 1, "here.st"), here)


def activations(outcome) -> np.ndarray:
    return np.array([float(found.activation[0]) for found in outcome.found], dtype=np.float32)


@pytest.mark.parametrize("method", METHODS, ids=repr)
def test_conformance(method, objective, corpus):
    """Texts of the right shape and words, scored by the objective, never above the true optimum; repeatable; frozen; within its cost."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        method.steps = 1
    check_method(method)
    assert repr(method.with_block(1)) == repr(method)
    assert method.with_block(1).batch <= method.batch
    assert method.cost(FEW) <= FEW
    assert method.ends or method.cost(math.inf) == math.inf
    assert len(search(objective, method.probe(), Budget(rounds=2)).found[0].trace) == 2
    outcome = search(objective, method, BUDGET, seed=3)
    best = torch.stack([found.ids for found in outcome.found])
    assert best.min() >= 3, "a special token was proposed"
    torch.testing.assert_close(objective.score(best).activation[:, 0], torch.tensor(activations(outcome)), atol=1e-5, rtol=0)
    assert (activations(outcome) <= activations(search(objective, corpus)) + 1e-5).all()
    again = search(objective, method, BUDGET, seed=3)
    for one, other in zip(outcome.found, again.found, strict=True):
        assert torch.equal(one.ids, other.ids)
        assert torch.equal(one.activation, other.activation)
        assert one.trace == other.trace


def test_corpus_search_over_every_text_is_the_optimum(objective, corpus, every_text):
    outcome = search(objective, corpus, n=5)
    scores = objective.score(torch.from_numpy(every_text)[None]).activation
    for found, row in zip(outcome.found, scores, strict=True):
        torch.testing.assert_close(found.activation, row.sort(descending=True).values[:5], atol=1e-6, rtol=0)


def test_modern_gumbel_finds_the_optimum_of_the_oracle(objective, corpus):
    """343 texts are few: the strong method finds the best of them for most targets, though its optima are local."""
    optimum, found = activations(search(objective, corpus)), activations(search(objective, presets.modern("gbl", 1000)))
    assert (found >= optimum - 1e-5).mean() >= 0.85


def test_a_result_does_not_depend_on_other_targets(objective, tiny, corpus):
    """The same bits, whatever other targets were asked for, in whatever order."""
    few = objective.subset([0, 1, 2, len(objective.targets) - 1])
    for method in (corpus, *METHODS[::3], *(one for one in METHODS if isinstance(one, Coordinate))):
        budget = None if method is corpus else BUDGET
        together = search(few, method, budget, seed=1)
        alone, among = search(Objective(tiny, few.targets[-1:], 3), method, budget, seed=1).found[0], together.found[-1]
        assert torch.equal(alone.ids, among.ids)
        assert torch.equal(alone.activation, among.activation)
        assert alone.notes == among.notes
        assert (alone.forwards, alone.backwards) == (among.forwards, among.backwards)


def test_special_tokens_are_proposed_when_asked_for(tiny):
    objective = Objective(tiny, resolve(["language:a"], tiny), 2, words=np.arange(3))
    assert search(objective, presets.modern("gbl", 300)).found[0].ids.max() < 3


@pytest.mark.parametrize("label", presets.GRADIENT)
@pytest.mark.parametrize("budget", [10, 100, 1000, 20_000])
def test_a_modern_method_spends_its_budget_and_no_more(label, budget):
    method = presets.modern(label, budget)
    looks = 1 + -(-method.steps // method.every)
    texts = 1 + (presets.DRAWS if label == "gbl" else 0)
    cost = method.restarts * (3 * method.steps + texts * looks)
    assert cost <= max(budget, method.restarts * (3 + 2 * texts))
    assert budget < 100 or cost >= 0.9 * budget


def test_the_faithful_settings_are_the_authors():
    gumbel = presets.faithful("gbl")
    assert gumbel.relaxation == Gumbel(2.0, 0.99995, 0.1, samples=64, floor=1e-7, fresh=True, begin=Start(0.05, normal=False))
    assert (gumbel.rate, gumbel.restarts, gumbel.every, gumbel.steps, gumbel.patience) == (0.001, 1, 200, 200_000, 200)
    assert [presets.faithful(label).patience for label in ("emb", "logit", "smx")] == [25, 100, 100]
    assert presets.faithful("emb").every == 20


@pytest.mark.parametrize("label", ["emb", "logit", "smx", "gbl", "sgbl"])
def test_targets_that_have_ended_are_no_longer_computed_and_change_nothing_for_the_others(objective, label, monkeypatch):
    relaxation = presets.modern("gbl" if label == "sgbl" else label, 90).relaxation
    method = Ascent(relaxation, steps=60, rate=0.3, restarts=2, every=2, patience=2, shortlist=4 if label == "sgbl" else None)
    computed, relax = [], Objective.relax
    monkeypatch.setattr(Objective, "relax", lambda self, text, *rest: (computed.append(len(text.embeds)), relax(self, text, *rest))[1])
    together = search(objective, method, seed=1).found
    spent = [one.forwards + one.backwards for one in together]
    assert len(set(spent)) > 1  # they end at different times
    assert min(computed) < min(map(len, objective.target_groups()))
    for number, one in enumerate(together):
        (alone,) = search(objective.subset([number]), method, seed=1).found
        assert torch.equal(alone.ids, one.ids)
        assert alone.trace == one.trace
        assert alone.forwards + alone.backwards == spent[number]
        assert alone.notes.keys() == one.notes.keys()
        assert alone.notes == pytest.approx(one.notes, rel=1e-6), number


def test_patience_stops_each_target_by_itself(objective):
    method = Ascent(presets.faithful("logit").relaxation, steps=400, rate=0.05, restarts=1, every=4, patience=3)
    for found in search(objective, method, seed=2).found:
        best = [activation for _, activation, _ in found.trace]
        last = max(i for i, activation in enumerate(best) if i == 0 or activation > best[i - 1])
        assert len(best) == min(last + 4, 101)


def test_emb_notes_the_cosine_to_the_nearest_words(objective):
    for found in search(objective, presets.modern("emb", 900)).found:
        assert 0 < found.notes["cosine"] <= 1


@pytest.mark.parametrize("name", ["gumbel", "gbl:best", ""])
def test_unknown_methods_are_refused(name):
    with pytest.raises(InputError, match="expected"):
        presets.parse(name)


@pytest.mark.parametrize(("label", "words"), [("emb", 5), ("gbl", 0)])
def test_a_shortlist_serves_mixtures_of_at_least_a_word(label, words):
    with pytest.raises(InputError, match="shortlist"):
        dataclasses.replace(presets.modern(label), shortlist=words)


def test_sparse_gumbel_refuses_surprisal(tiny):
    objective = Objective(tiny, resolve(["language:a"], tiny), 3, fluency=Fluency(weight=1.0))
    with pytest.raises(InputError, match="sgbl"):
        Plan.of("sgbl", objective, None, None)


def test_a_budget_stops_an_ascent(objective):
    outcome = search(objective, presets.modern("smx", 5000), Budget(forwards=400))
    assert all(found.forwards + found.backwards <= 400 for found in outcome.found)


def test_the_next_windows_are_the_next_words_of_the_gradients_list(objective):
    words, texts = objective.lexicon, objective.lexicon[:3].expand(len(objective.targets), 3, 3).clone()
    slope = -torch.arange(float(len(words))).expand(len(objective.targets), 3, -1)
    windows = torch.tensor([0, 1, 9]).expand(len(objective.targets), 3)
    assert (top_words(objective, slope, texts, 0, 2, windows, 9) == words[torch.tensor([[1, 2], [3, 4], [5, 6]])]).all()


def test_chains_at_the_best_text_look_deeper_each_at_a_place_of_its_own():
    texts, stays, ended = torch.tensor([[[3, 4], [3, 4], [5, 6]]]), torch.zeros(1, 3, dtype=torch.bool), torch.ones(1, 3, dtype=torch.bool)
    best = Best(texts[:, :1], torch.ones(1, 1))
    windows = Windows(texts, sweeps=2, most=9)
    assert windows.deeper(stays, ended, texts, best, Best.unknown(texts)).tolist() == [[True, True, False]]
    assert windows.at.tolist() == [[1, 2, 0]]
    windows.deeper(stays, ended, texts, best, best)
    assert windows.at.tolist() == [[3, 4, 0]]
    assert not windows.deeper(stays, ended, texts, best, best).any(), "two sweeps were all"
    windows.deeper(stays, ended, texts, best, best)
    assert windows.at.tolist() == [[5, 6, 0]]
    windows.deeper(ended, ended, texts, best, Best.unknown(texts))
    assert windows.at.tolist() == [[1, 2, 0]], "a better text was found"


WRONG_SETTINGS = [
    lambda: Coordinate(chains=0),
    lambda: Coordinate(sweeps=0),
    lambda: Coordinate(rounds=0),
    lambda: Beam(candidates=-1),
    lambda: Gcg(momentum=-0.1),
    lambda: Epo(gentlest=0.0),
    lambda: Random(texts=True),
    lambda: Corpus("empty", np.zeros((1, 3), dtype=int), chunk=0),
    lambda: Ascent(Softmax(), steps=10, rate=math.nan, restarts=1, every=1),
    lambda: Ascent(Softmax(), steps=10, rate=0.1, restarts=1, every=0),
    lambda: Ascent(Logits(), steps=10, rate=0.1, restarts=1, every=1, shortlist=4),
    lambda: Gumbel(samples=0),
    lambda: Simplex(steps=0),
    lambda: Embeddings(Start(spread=-1.0)),
    lambda: Repeat(presets.modern("smx"), 0),
    lambda: Repeat(Random(), 2),
    lambda: Then(Random(), Random()),
    lambda: presets.modern("crp"),
    lambda: presets.modern("gbl", 0),
    lambda: presets.faithful("gumbel"),
]


@pytest.mark.parametrize("make", WRONG_SETTINGS)
def test_wrong_settings_are_refused_in_one_line(make):
    with pytest.raises(InputError, match="expected") as caught:
        make()
    assert "\n" not in str(caught.value)


def test_a_class_or_an_incomplete_method_is_refused_by_what_it_lacks():
    with pytest.raises(InputError, match="got the class Random"):
        check_method(Random)
    with pytest.raises(InputError, match="object without patience, ends"):
        check_method(object())


@pytest.mark.parametrize(
    "method", [presets.modern("smx", FEW), presets.modern("emb", FEW), Repeat(presets.modern("smx", FEW / 2), 2)], ids=repr
)
def test_a_method_that_ends_spends_what_it_says(method, objective):
    for found in search(objective, method).found:
        assert found.forwards + found.backwards == pytest.approx(method.cost(math.inf), rel=0.1)


def test_an_ascent_flushes_denormals_while_it_steps_and_leaves_the_thread_as_it_was(objective):
    least = torch.full((1,), torch.finfo(torch.float32).tiny)
    seen = []

    class Watching(Softmax):
        def settle(self, theta, step):
            seen.append((least / 2).item())

    proposals = Ascent(Watching(), steps=3, rate=0.1, restarts=1, every=1).propose(objective, 0)
    objective.score(next(proposals).ids)
    next(proposals)
    assert seen == [0]
    assert (least / 2).item() > 0


def test_slopes_are_taken_again_only_where_a_text_has_changed(objective):
    k, draw = len(objective.targets), torch.Generator().manual_seed(0)
    texts = objective.lexicon[torch.randint(len(objective.lexicon), (k, 3, objective.length), generator=draw)]
    slopes, forwards = Slopes(objective, texts), torch.zeros(k, dtype=torch.float64)
    for changed in ([(i, j) for i in range(k) for j in range(3)], [], [(0, 1)], [(0, 2), (0, 0), (k - 1, 1)]):
        for i, j in changed:
            texts[i, j] = texts[i, j].roll(1).flip(0)
            texts[i, j, 0] = objective.lexicon[(int(texts[i, j, 0]) + i + j) % len(objective.lexicon)]
        before = slopes.of.clone()
        for place in range(objective.length):
            expected = objective.subset(range(k)).gradient(texts, [place])[:, :, 0]
            torch.testing.assert_close(slopes.at(texts, place, None, slopes.changed(texts)), expected)
        forwards += (texts != before).any(-1).sum(1)
        assert torch.equal(objective.cost.forwards, forwards)
        assert torch.equal(objective.cost.backwards, 2 * forwards)


def test_words_of_equal_slopes_do_not_depend_on_how_far_other_chains_look(objective):
    texts, slope = torch.full((2, 1, 3), 3), torch.zeros(2, 1, len(objective.lexicon))
    window = torch.tensor([[0], [1]])
    both = top_words(objective.subset([0, 1]), slope, texts, 1, 2, window, 1)
    assert torch.equal(both[:1], top_words(objective.subset([0]), slope[:1], texts[:1], 1, 2, window[:1], 0))
