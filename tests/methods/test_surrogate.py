"""The Gaussian process over the words at one position, against its definition, and what it is worth in a search."""

import numpy as np
import pytest
import torch

from models.tiny_models import network
from optigram.methods import surrogate
from optigram.methods.coordinate import Coordinate
from optigram.methods.moves import standardised, top_words
from optigram.objective.objective import Objective
from optigram.optimize.search import Budget, search

SCORED, PLACE = 6, 1


@pytest.fixture
def judge() -> Objective:
    return Objective(network("bert"), ["mlp_act.1:0@max"], 3)


def at_random(judge: Objective, chains: int = 2, seed: int = 0):
    """Gradients, texts, and the words that they rank highest, with scores."""
    generator = torch.Generator().manual_seed(seed)
    slope = torch.randn(1, chains, len(judge.lexicon), generator=generator)
    texts = judge.lexicon[torch.randint(len(judge.lexicon), (1, chains, judge.length), generator=generator)]
    words = top_words(judge, slope, texts, PLACE, SCORED)
    return slope, texts, words, torch.randn(words.shape, generator=generator)


def by_definition(judge: Objective, slope: torch.Tensor, words: torch.Tensor, scores: torch.Tensor) -> np.ndarray:
    """The posterior mean of all words of one chain, in float64."""
    table = judge.table.double().numpy()
    units = table - table.mean(0)
    units /= np.linalg.norm(units, axis=1, keepdims=True)
    z = standardised(slope).double().numpy()
    places = [judge.lexicon.tolist().index(word) for word in words.tolist()]
    x, y = z[places] - z[places].mean(), scores.double().numpy()
    y = (y - y.mean()) / y.std()
    rise = max((x * y).mean() / ((x**2).mean() + surrogate.RIDGE), 0)
    covariance = np.exp(units[places] @ units[places].T - 1) + surrogate.NOISE * np.eye(len(places))
    smooth = np.exp(units @ units[places].T - 1) @ np.linalg.solve(covariance, y - rise * x)
    return smooth + rise * (np.minimum(z, z[places].max()) - z[places].mean())


def test_the_expected_scores_are_those_of_the_definition(judge):
    slope, texts, words, scores = at_random(judge)
    found = surrogate.expected(judge, slope, texts, PLACE, words, scores, SCORED)
    for chain in range(2):
        expected = by_definition(judge, slope[0, chain], words[0, chain], scores[0, chain])
        open_ = found[0, chain].isfinite().numpy()
        taken = {*words[0, chain].tolist(), int(texts[0, chain, PLACE])}
        assert {int(word) for word in judge.lexicon[~torch.from_numpy(open_)]} == taken
        np.testing.assert_allclose(found[0, chain].numpy()[open_], expected[open_], atol=1e-4)


def test_scored_words_below_the_pool_are_found_where_the_ranking_reaches_them(judge, monkeypatch):
    slope, texts, words, scores = at_random(judge)
    whole = surrogate.expected(judge, slope, texts, PLACE, words, scores, SCORED)
    monkeypatch.setattr(surrogate, "POOL", 1)
    few = surrogate.expected(judge, slope, texts, PLACE, words, scores, SCORED + 1)
    assert torch.isfinite(few).sum() < torch.isfinite(whole).sum()
    torch.testing.assert_close(few[few.isfinite()], whole[few.isfinite()])


def test_a_word_like_the_best_ones_is_expected_to_be_good_where_the_gradient_says_nothing(judge):
    """Scores that are linear in the embedding: the words that are expected to be best are, on average."""
    slope, texts, words, _ = at_random(judge, chains=8)
    direction = torch.randn(judge.table.shape[1], generator=torch.Generator().manual_seed(1))
    true = torch.nn.functional.normalize(judge.table - judge.table.mean(0), dim=1) @ direction
    places = (judge.lexicon == words[..., None]).long().argmax(-1)
    found = surrogate.expected(judge, slope, texts, PLACE, words, true[places], SCORED)
    chosen = found.topk(SCORED, dim=-1).indices
    rest = torch.stack([true[one.isfinite()].mean() for one in found[0]])
    assert (true[chosen].mean(-1) > rest).float().mean() >= 0.75


def test_texts_that_are_not_allowed_count_as_the_least_of_the_others(judge):
    slope, texts, words, scores = at_random(judge)
    scores[..., 2] = -torch.inf
    least = scores.clone()
    least[..., 2] = scores[..., [0, 1, 3, 4, 5]].amin(-1)
    given = (judge, slope, texts, PLACE, words)
    assert torch.equal(surrogate.expected(*given, scores, SCORED), surrogate.expected(*given, least, SCORED))
    assert not surrogate.expected(*given, torch.full_like(scores, -torch.inf), SCORED).isnan().any()


def test_few_words_and_many_rounds_end(judge):
    """More candidates than words, and a candidate a round."""
    for method in (Coordinate(2, 10_000, rounds=3), Coordinate(1, 4, rounds=9), Coordinate(1, 1, rounds=2)):
        (found,) = search(judge, method, Budget(forwards=200)).found
        assert found.activation.isfinite().all()


def test_scouts_leave_the_climb_to_the_best_of_them(judge):
    """The first proposals have a text per scout; after their sweep there are `chains`, from the best texts so far."""
    proposals, best, sizes = Coordinate(2, 8, scouts=4).propose(judge, 0), -torch.inf, []
    proposal = next(proposals)
    for _ in range(5):
        sizes.append(proposal.ids.shape[1])
        scores = judge.score(proposal.ids)
        if len(sizes) == 5:
            assert float(scores.value.max()) == pytest.approx(float(best), rel=1e-5)
        best = max(best, scores.value.max())
        proposal = proposals.send(scores)
    assert sizes[0] == 4
    assert sizes[4] == 2


def test_where_texts_share_prefixes_scouts_and_rounds_are_left_out(tiny):
    judge = Objective(tiny, ["language:a"], 3)
    plain, other = (
        search(judge, method, Budget(forwards=100)).found[0] for method in (Coordinate(2, 4), Coordinate(2, 4, scouts=4, rounds=2))
    )
    assert torch.equal(plain.ids, other.ids)
