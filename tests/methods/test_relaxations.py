import numpy as np
import pytest
import torch

from optigram.methods import gumbel
from optigram.methods.gumbel import Gumbel, _heaviest
from optigram.methods.relaxations import Embeddings, Logits, Softmax, Start
from optigram.methods.simplex import Simplex
from optigram.objective.rng import Streams
from optigram.objective.surprisal import _are_mixtures

RELAXATIONS = [
    Embeddings(),
    Logits(),
    Softmax(),
    Softmax(Start(0.05, normal=False)),
    Gumbel(),
    Gumbel(samples=3),
    Gumbel(draws=2),
    Gumbel(samples=2, floor=1e-7, fresh=True),
    Gumbel(straight=True),
    Simplex(steps=10),
]
K, C, T, V, D = 2, 3, 4, 6, 5


def streams():
    return Streams(0, ["a", "b"], C, torch.device("cpu"))


@pytest.fixture
def table():
    return torch.randn(V, D, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("relaxation", RELAXATIONS, ids=repr)
def test_conformance(relaxation, table):
    theta = relaxation.start(streams(), T, table)
    assert theta.shape[:3] == (K, C, T)
    assert theta.abs().max() < 0.5
    soft = relaxation.soften(theta.requires_grad_(), table, 0, streams())
    assert soft.embeds.shape[0] == K
    assert soft.embeds.shape[1] == C * relaxation.samples
    assert soft.embeds.shape[2:] == (T, D)
    if soft.weights is not None:
        torch.testing.assert_close(soft.weights @ table, soft.embeds)
    assert relaxation.mixes == (soft.weights is not None and _are_mixtures(soft.weights))
    assert all(isinstance(number, float) for number in relaxation.schedule(3).values())
    soft.embeds.sum().backward()
    assert theta.grad is not None
    assert theta.grad.isfinite().all()
    rows, notes = relaxation.harden(theta.detach(), table, streams())
    assert rows.shape in ((K, C, T), (K, 3 * C, T))
    assert rows.min() >= 0
    assert rows.max() < V
    assert all(note.shape == rows.shape[:2] for note in notes.values())


@pytest.mark.parametrize("relaxation", [*RELAXATIONS, Embeddings(projected=True)], ids=repr)
def test_it_starts_at_the_words_that_are_given(relaxation, table):
    given = torch.arange(K * C * T).reshape(K, C, T) % V
    given[0, 0] = -1  # anywhere
    hard, _ = relaxation.harden(relaxation.start(streams(), T, table, given), table, streams())
    near = hard[:, :C][given >= 0] == given[given >= 0]
    assert near.all()


@pytest.mark.parametrize("relaxation", RELAXATIONS, ids=repr)
def test_a_plain_word_hardens_to_itself(relaxation, table):
    rows = torch.arange(K * C * T).reshape(K, C, T) % V
    theta = table[rows] if isinstance(relaxation, Embeddings) else 50 * torch.nn.functional.one_hot(rows, V).float()
    hard, notes = relaxation.harden(theta, table, streams())
    assert torch.equal(hard, rows.repeat(1, hard.shape[1] // C, 1))
    assert all(torch.allclose(note, torch.ones(())) for note in notes.values())


@pytest.mark.parametrize("relaxation", [each for each in RELAXATIONS if isinstance(each, Gumbel)], ids=repr)
@pytest.mark.parametrize("of", ["embeds", "weights", "both"])
def test_the_folded_gumbel_gradient_is_that_of_autograd(relaxation, table, of):
    logits = torch.randn(K, C, T, V, generator=torch.Generator().manual_seed(1))
    towards = torch.randn(K, C * relaxation.samples, T, D, generator=torch.Generator().manual_seed(2))
    along = torch.randn(K, C * relaxation.samples, T, V, generator=torch.Generator().manual_seed(3))

    def loss(soft_embeds, soft_weights):
        return (of != "weights") * (soft_embeds * towards).sum() + (of != "embeds") * (soft_weights * along).sum()

    folded, plain = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    soft = relaxation.soften(folded, table, 1000, streams())
    (soft.embeds * towards).sum().backward() if of == "embeds" else loss(soft.embeds, soft.weights).backward()
    noise = relaxation.noisy(logits, streams()) - relaxation.noisy(logits, Zero(0, ["a", "b"], C, torch.device("cpu")))
    floored = plain if relaxation.floor is None else (plain.softmax(-1) + relaxation.floor).log()
    weights = ((floored[:, :, None] + noise) / relaxation.temperature(1000)).softmax(-1).flatten(1, 2)
    if relaxation.straight:
        weights = weights + (torch.nn.functional.one_hot(weights.argmax(-1), V) - weights).detach()
    loss(weights @ table, weights).backward()
    torch.testing.assert_close(soft.weights, weights)
    torch.testing.assert_close(folded.grad, plain.grad, atol=1e-4, rtol=1e-4)


class Zero(Streams):
    """Streams without noise."""

    def gumbel(self, *shape):
        return torch.zeros(*self.shape, *shape)

    def plus_gumbel(self, logits, samples, change=lambda noisy: None):
        noisy = logits[:, :, None].repeat(1, 1, samples, 1, 1)
        change(noisy)
        return noisy


@pytest.mark.parametrize("relaxation", [each for each in RELAXATIONS if not isinstance(each, Embeddings)], ids=repr)
def test_a_list_of_all_words_in_each_place_is_the_whole_vocabulary(relaxation, table):
    found = []
    for words in (table, table.expand(K, C, T, V, D)):
        theta = relaxation.start(streams(), T, words).requires_grad_()
        soft = relaxation.soften(theta, words, 0, streams())
        (slope,) = torch.autograd.grad(soft.embeds.square().sum(), theta)
        found.append((theta, soft.embeds, slope, relaxation.harden(theta.detach(), words, streams())[0]))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other)


def test_the_temperature_falls_to_its_floor():
    gumbel = Gumbel(hottest=2.0, cooling=0.99995, coldest=0.1)
    assert gumbel.temperature(0) == 2.0
    assert gumbel.temperature(1) == pytest.approx(1.9999)
    assert gumbel.temperature(59_914) == pytest.approx(0.1, abs=1e-5)  # the authors' schedule reaches it at this step
    assert gumbel.temperature(10**6) == 0.1


def test_gumbel_samples_words_as_often_as_softmax_says():
    logits = torch.tensor([0.0, 1.0, 2.0]).expand(1, 1, 2000, 3).contiguous()
    noisy = Gumbel().noisy(logits, Streams(0, ["a"], 1, torch.device("cpu")))
    shares = np.bincount(noisy.argmax(-1).flatten().numpy(), minlength=3) / 2000
    np.testing.assert_allclose(shares, logits[0, 0, 0].softmax(-1), atol=0.03)


@pytest.mark.parametrize("words", [3, 64, 200])
def test_the_heaviest_word_is_the_first_of_the_largest(words):
    weights = torch.randint(4, (40, words), generator=torch.Generator().manual_seed(0)).float()
    assert torch.equal(_heaviest(weights), weights.argmax(-1))
    assert torch.equal(_heaviest(torch.full((2, words), -torch.inf)), torch.zeros(2, dtype=torch.int64))


def test_few_words_with_weight_give_what_all_give(monkeypatch):
    """One restart of a target is sure of its words, so that few have weight; the other is not, and all are computed."""
    v = 4000
    relaxation = Gumbel(hottest=0.3, samples=8, floor=1e-7, fresh=True)
    table = torch.randn(v, D, generator=torch.Generator().manual_seed(0))
    likely = torch.zeros(1, 2, T, v)
    likely[:, 0, :, 7], likely[:, 0, :, 3000] = 20.0, 19.0
    found = []
    for fewest in (v, 1 << 40):
        monkeypatch.setattr(gumbel, "FEWEST", fewest)
        theta, drawn = likely.clone().requires_grad_(), Streams(0, ["a"], 2, torch.device("cpu"))
        sparse = [bool(few) for few in gumbel._few_words(theta, table, relaxation, relaxation.temperature(0), drawn).values()]
        assert sparse == ([True, False] if fewest == v else [])
        soft = relaxation.soften(theta, table, 0, drawn)
        (slope,) = torch.autograd.grad((soft.embeds * torch.arange(D)).sum(), theta, retain_graph=True)
        (joint,) = torch.autograd.grad((soft.embeds * torch.arange(D)).sum() + soft.weights[..., 3000].sum(), theta)
        found.append((soft.embeds, soft.weights, slope, joint, drawn.normal(3)))
    for few, all_words in zip(*found, strict=True):
        torch.testing.assert_close(few, all_words, rtol=1e-5, atol=1e-6)
    assert torch.equal(found[0][0][:, 8:], found[1][0][:, 8:])
    assert (found[0][1][:, :8] > 0).float().mean() < 0.01
