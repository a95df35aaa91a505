"""The front against its definition: every pair of texts compared."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from optigram.errors import InputError
from optigram.methods import Corpus
from optigram.methods.epo import Epo
from optigram.objective.fluency import Fluency
from optigram.objective.objective import Objective
from optigram.optimize.pareto import CELLS, PENALTIES, ParetoFront
from optigram.optimize.search import Budget, search
from optigram.targets.target import resolve
from toy import Toy

K = 2
TEXTS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=12)
rng = np.random.default_rng(0)
ACTIVATION = torch.from_numpy(rng.choice([-1.0, 0.0, 0.5, 2.0, 2.5, np.nan], (K, 6, 6))).float()
SURPRISAL = torch.from_numpy(rng.choice([0.1, 0.2, 0.3, 1.0, 3.1, np.nan], (K, 6, 6))).float()


def front(texts) -> ParetoFront:
    ids = torch.tensor(texts, dtype=torch.int64).view(-1, 2)
    return ParetoFront.of(ids[None], ACTIVATION[:, ids[:, 0], ids[:, 1]], SURPRISAL[:, ids[:, 0], ids[:, 1]])


def same(one: ParetoFront, other: ParetoFront) -> bool:
    return all(torch.equal(a, b) for a, b in zip(vars(one).values(), vars(other).values(), strict=True))


def rows(found: ParetoFront, k: int) -> list[tuple]:
    known = ~found.activation[k].isneginf()
    return [
        (float(a), float(s), tuple(i))
        for i, a, s in zip(found.ids[k][known].tolist(), found.activation[k][known], found.surprisal[k][known], strict=True)
    ]


@given(TEXTS, TEXTS, TEXTS)
def test_merge_laws(a, b, c):
    one, two, three = front(a), front(b), front(c)
    assert same(one.merge(two), two.merge(one))
    assert same(one.merge(two).merge(three), one.merge(two.merge(three)))
    assert same(one.merge(one), one)
    assert same(one.merge(two), front(a + b))


@given(TEXTS)
def test_what_is_kept_is_unbeaten_and_holds_the_best_of_every_cell(texts):
    found = front(texts)
    for k in range(K):
        judged = {(float(ACTIVATION[k][text]), float(SURPRISAL[k][text]), text) for text in texts}
        judged = {row for row in judged if not np.isnan(row[:2]).any()}
        unbeaten = {
            one
            for one in judged
            if not any(two[0] >= one[0] and two[1] <= one[1] and (two[:2] != one[:2] or two[2] < one[2]) for two in judged)
        }
        cells = {
            max((row for row in unbeaten if row[1] // 0.25 == cell), key=lambda row: row[0]) for cell in {s // 0.25 for _, s, _ in unbeaten}
        }
        kept = rows(found, k)
        assert cells <= set(kept) <= unbeaten
        assert kept == sorted(kept, key=lambda row: -row[0])


def test_the_corners_of_the_hull_stay_and_the_size_is_bounded():
    count = 20_000
    nats = torch.linspace(0, 20, count).square() / 20
    activation = nats.sqrt()  # concave: every text is a corner
    found = ParetoFront.of(torch.arange(count)[None, :, None], activation[None], nats[None])
    assert CELLS <= found.ids.shape[1] <= CELLS + len(PENALTIES)
    for penalty in PENALTIES:
        assert (found.activation - penalty * found.surprisal).max() == pytest.approx(float((activation - penalty * nats).max()), abs=1e-5)


def judged(toy, **fluency):
    return Objective(toy, resolve(["resid:1", "-resid:3@max"], toy), 3, fluency=Fluency(**fluency))


@pytest.mark.parametrize("fluency", [{}, {"weight": 0.3}, {"band": (1.0, 3.0)}])
def test_a_search_gives_the_front_of_all_that_it_judged(fluency):
    toy = Toy()
    objective = judged(toy, **fluency)
    lexicon = objective.lexicon.tolist()
    texts = np.array([[i, j, k] for i in lexicon for j in lexicon for k in lexicon])
    scores = objective.score(torch.from_numpy(texts)[None])
    inside = scores.activation.masked_fill(scores.value.isneginf(), -torch.inf)
    expected = ParetoFront.of(torch.from_numpy(texts)[None], inside, scores.surprisal)
    outcome = search(objective, Corpus("all", texts, chunk=100), front=True)
    for row, found in enumerate(outcome.found):
        assert [(tuple(i)) for i in found.ids.tolist()] == [ids for _, _, ids in rows(expected, row)]
        assert len(found.ids) > 2
        assert (found.activation.diff() < 0).all()
        assert (found.surprisal.diff() < 0).all()


def test_any_method_gives_a_front_and_it_hangs_on_nothing_else():
    toy = Toy()
    method = Epo(slots=3, children=2, block=12)
    together = search(judged(toy), method, Budget(rounds=6), front=True)
    alone = Objective(toy, resolve(["-resid:3@max"], toy), 3, fluency=Fluency())
    assert torch.equal(search(alone, method, Budget(rounds=6), front=True).found[0].ids, together.found[1].ids)


def test_a_front_without_a_surprisal_is_refused():
    toy = Toy()
    with pytest.raises(InputError, match="needs a surprisal"):
        search(Objective(toy, resolve(["resid:1"], toy), 3), Epo(), front=True)
