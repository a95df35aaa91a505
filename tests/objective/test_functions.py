"""Functions of states and log probabilities as targets, against NumPy, transformers alone, and finite differences."""

import numpy as np
import pytest
import torch
from tiny_models import network, pretrained

from optigram.errors import InputError
from optigram.methods import Corpus
from optigram.methods import paper as presets
from optigram.methods.coordinate import Coordinate
from optigram.objective import activations
from optigram.objective.objective import Objective
from optigram.objective.scores import SoftText
from optigram.optimize.search import Budget, search
from optigram.runs.explain import explain
from optigram.targets.build import custom, direction, log_prob, logit, neuron
from optigram.text.template import Template
from toy import TOKENS, WIDTH, Toy

TEXTS = [[5, 6, 9], [6, 6, 6], [12, 13, 14], [9, 5, 11]]
VECTOR = torch.linspace(-1, 1, WIDTH)
POOLS = {"last": lambda v: v[-1], "max": lambda v: v[3:].max(), "mean": lambda v: v[3:].mean(), "anywhere": lambda v: v.max()}


def cosine(states, mask):
    """The cosine of the last state with a vector: one value per text."""
    return torch.nn.functional.cosine_similarity(states["resid"][:, -1], VECTOR, dim=-1)


def energy(states, mask):
    """The square of each state: one value per position."""
    return states["resid"].square().sum(-1)


def masked_mean(states, mask):
    """The same, pooled by the function itself."""
    return (energy(states, mask) * mask).sum(1) / mask.sum(1)


def objective_of(model, *targets, template=" a 7{}"):
    return Objective(model, targets, 3, Template.parse(template, model.vocabulary))


def log_softmax(logits):
    shifted = logits - logits.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))


@pytest.mark.parametrize("pool", POOLS)
@pytest.mark.parametrize("softcap", [None, 2.0])
def test_log_probabilities_follow_the_definition(monkeypatch, pool, softcap):
    monkeypatch.setattr(activations, "TOKENS", 4)  # several blocks of the vocabulary
    toy = Toy(softcap=softcap)
    targets = [getattr(target, pool)() for target in (log_prob(" dog"), log_prob(" dog") - 0.5 * neuron("resid", 1), logit(" dog"))]
    found = objective_of(toy, *targets).score(torch.tensor([TEXTS])).activation
    rows = [[0, 5, 12, *text] for text in TEXTS]
    logits, states = [toy.logits(row) for row in rows], [toy.state(row) for row in rows]
    dog = TOKENS.index(" dog")
    values = [
        [log_softmax(part)[:, dog] for part in logits],
        [log_softmax(part)[:, dog] - 0.5 * state[:, 1] for part, state in zip(logits, states, strict=True)],
        [part[:, dog] for part in logits],
    ]
    np.testing.assert_allclose(found, [[POOLS[pool](value) for value in row] for row in values], atol=2e-5)


def test_a_difference_of_log_probabilities_is_one_of_logits():
    difference = objective_of(Toy(), log_prob(" dog") - log_prob(" cat"))
    assert not difference._groups[0].normalisers
    texts = torch.tensor([TEXTS])
    plain = objective_of(Toy(), logit(" dog") - logit(" cat"))
    assert torch.equal(difference.score(texts).activation, plain.score(texts).activation)


@pytest.mark.parametrize("name", ["gpt2", "gemma2", "cohere", "bert"])
def test_log_probabilities_are_those_of_transformers(name):
    model, bare = network(name), pretrained(name)
    token = 40
    objective = Objective(model, [log_prob(token), log_prob(token).max()], 4)
    texts = torch.from_numpy(np.random.default_rng(0).choice(objective.lexicon.cpu().numpy(), (6, 4)))
    ids = torch.tensor([objective.template.fill(text) for text in texts.tolist()])
    with torch.no_grad():
        expected = bare(ids).logits.float().log_softmax(-1)[..., token]
    found = objective.score(texts[None]).activation
    torch.testing.assert_close(found[0], expected[:, -1], atol=2e-4, rtol=0)
    assert (found <= 0).all()
    torch.testing.assert_close(found[1], expected[:, objective._layout.looked].amax(1), atol=2e-4, rtol=0)


def test_log_probabilities_of_an_imaginet_are_shared_by_prefix(tiny, every_text):
    texts = torch.from_numpy(every_text)[None]
    targets = [log_prob("a"), log_prob("b").mean()]
    objective = Objective(tiny, targets, 3)
    states = tiny.read(tiny.embedding[texts[0]], ["language.hidden"])["language.hidden"]
    expected = tiny.projection("language")(states).log_softmax(-1)
    a, b = (tiny.vocabulary.tokens.index(token) for token in "ab")
    found = objective.score(texts).activation
    torch.testing.assert_close(found, torch.stack([expected[:, -1, a], expected[..., b].mean(1)]), atol=1e-5, rtol=0)
    assert objective.cost.spent.tolist() == pytest.approx([(7 + 49 + 343) / 3] * 2)
    order = torch.from_numpy(np.random.default_rng(0).permutation(343)[:50])
    assert torch.equal(Objective(tiny, targets[:1], 3).score(texts[:, order]).activation, found[:1, order])


TARGETS = {
    "log_prob": log_prob(" dog"),
    "capped": log_prob(" dog").mean(),
    "cosine": custom(cosine, "resid"),
    "energy": custom(energy, "resid").mean(),
    "sum": custom(energy, "resid", "e") - 2 * neuron("early", 1) + 0.5 * custom(cosine, ["resid"]) + log_prob(" cat"),
}


@pytest.mark.parametrize("name", TARGETS)
def test_gradients_agree_with_finite_differences(name):
    toy = Toy(softcap=2.0 if name == "capped" else None)
    objective = objective_of(toy, TARGETS[name])
    ids = torch.tensor([TEXTS[:1]])
    slopes = objective.gradient(ids)
    hot = (ids[..., None] == objective.lexicon).float()
    for place, word in ((0, 2), (1, 5), (2, 0), (2, 4)):
        step = torch.zeros_like(hot)
        step[0, 0, place, word] = 1e-2
        up, down = (float(objective.relax(SoftText((hot + sign * step) @ objective.table, None)).activation.sum()) for sign in (1, -1))
        assert (up - down) / 2e-2 == pytest.approx(float(slopes[0, 0, place, word]), abs=4e-3)


def test_functions_follow_their_definition():
    toy = Toy()
    made = [custom(cosine, "resid"), custom(energy, "resid").max(), custom(energy, "resid").mean(), custom(masked_mean, "resid")]
    made.append((custom(energy, "resid") - 2 * neuron("early", 1)).mean())
    made.append(neuron("resid", 3).mean())
    objective = objective_of(toy, *made)
    found = objective.score(torch.tensor([TEXTS])).activation
    expected = []
    for text in TEXTS:
        state, early = (toy.state([0, 5, 12, *text], site) for site in ("resid", "early"))
        square, vector = (state**2).sum(-1), VECTOR.numpy()
        angle = state[-1] @ vector / np.linalg.norm(state[-1]) / np.linalg.norm(vector)
        mean = square[3:].mean()
        expected.append([angle, square[3:].max(), mean, mean, mean - 2 * early[3:, 1].mean(), state[3:, 3].mean()])
    np.testing.assert_allclose(found.T, expected, atol=1e-5)


def test_a_function_may_read_logits(tiny):
    def entropy(states, mask):
        logs = states["language"].log_softmax(-1)
        return -(logs.exp() * logs).sum(-1)

    texts = torch.tensor([[[3, 4, 5], [9, 9, 9]]])
    found = Objective(tiny, custom(entropy, "language"), 3).score(texts).activation[0]
    states = tiny.read(tiny.embedding[texts[0]], ["language.hidden"])["language.hidden"]
    expected = torch.distributions.Categorical(logits=tiny.projection("language")(states)[:, -1]).entropy()
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


def test_company_changes_nothing_and_each_may_score_its_own_texts(tiny, every_text):
    def last(states, mask):
        return states["visual.hidden"][:, -1].sum(-1)

    others = ["visual:dog", "language:a@max"]
    texts = torch.from_numpy(every_text[::7])[None]
    alone = Objective(tiny, others, 3).score(texts).activation
    objective = Objective(tiny, ["visual:dog", custom(last, "visual.hidden"), "language:a@max"], 3)
    found = objective.score(texts).activation
    assert torch.equal(found[[0, 2]], alone)
    own = objective.score(texts.expand(3, -1, -1)).activation
    torch.testing.assert_close(own, found, atol=1e-5, rtol=0)
    torch.testing.assert_close(objective.relax(SoftText(tiny.embedding[texts], None)).activation, found, atol=1e-5, rtol=0)
    assert float(objective.subset([1]).score(texts).activation[0, 3]) == pytest.approx(float(found[1, 3]))


@pytest.mark.parametrize("target", [custom(cosine, "resid"), direction("resid", VECTOR), log_prob(" dog") - 0.5 * log_prob(" cat")])
@pytest.mark.parametrize("method", ["coordinate", "gbl", "crp"])
def test_methods_find_the_best_text_or_a_good_one(target, method):
    objective = Objective(Toy(), target, 2)
    every = np.array([[i, j] for i in objective.lexicon.tolist() for j in objective.lexicon.tolist()])
    best = search(objective, Corpus("all", every)).found[0].activation[0]
    chosen = {"coordinate": Coordinate(2, 8), "gbl": presets.modern("gbl", 600), "crp": Corpus("some", every)}[method]
    found = search(objective, chosen, Budget(forwards=600)).found[0]
    scores = objective.score(torch.from_numpy(every)[None]).activation[0]
    assert float(found.activation[0]) >= float(scores.quantile(0.9))
    assert float(found.activation[0]) <= float(best)


def test_an_explanation_of_a_function():
    (told,) = explain(objective_of(Toy(), custom(cosine, "resid")), TEXTS[0], sweep=None)
    assert told.target == "custom:test_functions.cosine#resid"
    assert len(told.places) == 3


def summed(states, mask):
    return states["resid"] @ torch.ones(8)


BAD = {
    "a shape": (lambda states, mask: states["resid"], r"\[b, s\] = \[4, 6\], got shape \[4, 6, 8\]"),
    "integers": (lambda states, mask: mask.sum(1), "floating-point.*got torch.int64"),
    "no tensor": (lambda states, mask: 3.0, "got float"),
    "nothing": (lambda states, mask: None, "got NoneType"),
    "NaN": (lambda states, mask: states["resid"].log()[..., 0], "returns NaN for finite states"),
    "infinity": (lambda states, mask: states["resid"][..., 0] / 0, "returns infinity for finite states"),
    "what float32 cannot hold": (lambda states, mask: states["resid"][..., 0].double() * 1e60, "returns infinity"),
    "an array": (lambda states, mask: states["resid"][..., 0].numpy(), "got ndarray"),
    "complex numbers": (lambda states, mask: states["resid"][..., 0] + 0j, "floating-point.*got torch.complex64"),
    "a probe in half precision": (lambda states, mask: states["resid"] @ torch.ones(8).half(), "raised RuntimeError"),
    "a missing site": (lambda states, mask: states["rezid"], r"raised KeyError: 'rezid'; its states are resid \[4, 6, 8\]"),
    "widths": (lambda states, mask: states["resid"] @ torch.ones(3), "raised RuntimeError"),
    "in place": (lambda states, mask: states["resid"].mul_(2).sum((1, 2)), "in place"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_a_function_does_wrong_is_one_line_with_its_name(case):
    function, said = BAD[case]
    objective = objective_of(Toy(), custom(function, "resid", "mine"))
    with pytest.raises(InputError, match=said) as error:
        objective.score(torch.tensor([TEXTS]))
    assert "mine" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_function_may_enclose_a_parameter_which_gets_no_gradient():
    probe = torch.nn.Parameter(torch.ones(8))
    objective = objective_of(Toy(), custom(lambda states, mask: states["resid"] @ probe, "resid", "mine"))
    ids = torch.tensor([TEXTS])
    assert torch.equal(objective.score(ids).activation, objective_of(Toy(), custom(summed, "resid")).score(ids).activation)
    objective.gradient(ids)
    assert probe.grad is None


def test_a_function_without_a_gradient_is_refused_by_what_needs_one():
    objective = objective_of(Toy(), custom(lambda states, mask: states["resid"].detach()[..., 0], "resid", "mine"))
    assert objective.score(torch.tensor([TEXTS])).activation.isfinite().all()
    with pytest.raises(InputError, match="function mine gives no gradient"):
        objective.gradient(torch.tensor([TEXTS]))


def test_a_pool_on_a_function_that_pools_itself_is_refused():
    objective = objective_of(Toy(), custom(cosine, "resid").max())
    with pytest.raises(InputError, match="leave out @max"):
        objective.score(torch.tensor([TEXTS]))
