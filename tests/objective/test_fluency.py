"""Surprisal against NumPy's log-softmax over a toy transformer's logits and over an Imaginet's language path."""

import dataclasses

import numpy as np
import pytest
import torch
from test_imaginet import gru_by_hand

from optigram.errors import InputError
from optigram.methods import Coordinate, Corpus
from optigram.methods import paper as presets
from optigram.methods.combinators import Watched
from optigram.objective.cost import Cost
from optigram.objective.fluency import Fluency
from optigram.objective.objective import Objective
from optigram.objective.scores import SoftText
from optigram.optimize.search import Budget, search
from optigram.targets.target import resolve
from optigram.text.template import Template
from optigram.text.vocabulary import Vocabulary
from toy import TOKENS, Toy, decode, encode

TEXTS = [[5, 6, 9], [6, 6, 6], [12, 13, 14], [9, 5, 11]]


def nats(logits, ids, counted) -> float:
    """Mean surprisal of the tokens at the counted positions, from logits [s v]."""
    logits = logits - logits.max(-1, keepdims=True)
    logs = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    return -np.mean([logs[place - 1, ids[place]] for place in counted])


def judged(toy, template="{}", target="resid:1", **fluency):
    return Objective(
        toy, resolve([target], toy), 3, Template.parse(template, toy.vocabulary), fluency=Fluency(**({"weight": 0.5} | fluency))
    )


@pytest.mark.parametrize(
    ("template", "prefix", "suffix", "counted"),
    [
        ("{}", (0,), (), [1, 2, 3]),  # after a begin symbol every word counts
        ("{}", (), (), [1, 2]),  # nothing comes before the first word
        (" a 7{}", (), (), [2, 3, 4]),  # fixed words before the free ones are given, and do not count
        (" a{2} dog{1},", (0,), (1,), [2, 3, 4, 5, 6]),  # those between and after do; an end symbol does not
    ],
)
@pytest.mark.parametrize("softcap", [None, 2.0])
def test_surprisal_is_the_arithmetic_of_the_definition(template, prefix, suffix, counted, softcap):
    toy = Toy(prefix=prefix, suffix=suffix, softcap=softcap)
    objective = judged(toy, template)
    inputs = [objective.template.fill(text) for text in TEXTS]
    expected = [nats(toy.logits(ids), ids, counted) for ids in inputs]
    scores = objective.score(torch.tensor([TEXTS]))
    np.testing.assert_allclose(scores.surprisal[0], expected, atol=1e-5)
    torch.testing.assert_close(scores.value, scores.activation - 0.5 * scores.surprisal)


def test_the_language_path_of_an_imaginet_is_a_language_model(tiny):
    texts = [[3, 4, 5], [9, 9, 9], [7, 3, 8]]
    objective = Objective(tiny, resolve(["visual:dog"], tiny), 3, fluency=Fluency(1.0))
    layer = tiny.projection("language")
    weight, bias = layer.weight.numpy().astype(float), layer.bias.numpy()
    expected = [nats(gru_by_hand(tiny, "language", ids) @ weight.T + bias, ids, [1, 2]) for ids in texts]
    np.testing.assert_allclose(objective.score(torch.tensor([texts])).surprisal[0], expected, atol=1e-5)


@pytest.mark.parametrize("other", [None, Toy(seed=5)])
@pytest.mark.parametrize("template", ["{}", " a{2} dog{1},"])
@pytest.mark.parametrize("weight", [0.5, 0.0])
def test_relax_at_one_hot_is_score(other, template, weight):
    toy = Toy(suffix=(1,))
    objective = judged(toy, template, model=other, weight=weight, repetition=0.3)
    ids = torch.tensor([TEXTS])
    weights = (ids[..., None] == objective.lexicon).float()
    soft, hard = objective.relax(SoftText(toy.embedding[ids], weights)), objective.score(ids)
    for name in ("activation", "surprisal", "value"):
        torch.testing.assert_close(getattr(soft, name), getattr(hard, name), atol=1e-5, rtol=0)


@pytest.mark.parametrize("other", [None, Toy(seed=5)])
def test_gradient_agrees_with_finite_differences(other):
    """Along directions in which the weights of words go on summing to 1."""
    toy = Toy()
    objective = judged(toy, model=other, weight=2.0)
    ids = torch.tensor([TEXTS[:2]])
    slopes = objective.gradient(ids)
    hot = (ids[..., None] == objective.lexicon).float()
    for c, t, v in ((0, 0, 2), (0, 2, 4), (1, 1, 1), (1, 2, 0)):
        nudge = torch.zeros_like(hot)
        nudge[0, c, t] = -hot[0, c, t]
        nudge[0, c, t, v] += 1
        step = 1e-2
        up, here = (
            objective.relax(SoftText((hot + size * nudge) @ objective.table, hot + size * nudge)).value.sum() for size in (step, 0.0)
        )
        assert float((up - here) / step) == pytest.approx(float((slopes * nudge).sum()), abs=0.1, rel=0.05)


def test_another_tokenizer_hears_the_text_anew():
    toy, words = Toy(suffix=(1,)), Vocabulary.of_words(("a", "dog", "cat", "7"))
    listener = Toy(seed=7, tokens=words.tokens + TOKENS[7:]).with_vocabulary(
        encode=words.encode, decode=words.decode, prefix=(1,), tokens=words.tokens + TOKENS[7:]
    )
    objective = judged(toy, " a{}", model=listener)
    scores = objective.score(torch.tensor([TEXTS]))
    texts = [[1, *words.encode(" a" + decode(text))] for text in TEXTS]
    np.testing.assert_allclose(scores.surprisal[0], [nats(listener.logits(ids), ids, range(1, len(ids))) for ids in texts], atol=1e-5)
    assert not objective.penalises_surprisal
    soft = objective.relax(SoftText(toy.embedding[torch.tensor([TEXTS])], None))
    assert soft.surprisal is None


def test_the_band_keeps_texts_within_it():
    toy = Toy()
    scores = judged(toy, weight=0.0, band=(2.0, 4.0)).score(torch.tensor([TEXTS]))
    inside = (scores.surprisal >= 2) & (scores.surprisal <= 4)
    assert 0 < inside.sum() < len(TEXTS)
    assert torch.equal(scores.value, scores.activation.masked_fill(~inside, -torch.inf))


@pytest.mark.parametrize(("template", "prefix"), [("{}", (0,)), ("{}", ()), (" a{2} dog{1},", (0,))])
def test_a_words_surprisal_is_exact_given_the_words_before_it(template, prefix):
    toy = Toy(prefix=prefix)
    objective = judged(toy, template, weight=0.0, band=(0.0, 4.0))
    assert objective.surprisal_bounds == (4,)
    texts, words = torch.tensor([TEXTS]), objective.lexicon
    last = texts[:, :, None].repeat(1, 1, len(words), 1)
    last[..., 2] = words
    whole = objective.score(last.flatten(1, 2)).surprisal.view(1, len(TEXTS), len(words))
    objective.cost = Cost.at_zero(1)
    own = objective.word_surprisal(texts, 2)
    if template == "{}":  # nothing that is counted comes after the word
        torch.testing.assert_close(own - own[..., :1], whole - whole[..., :1], atol=1e-5, rtol=1e-4)
    inputs = objective.template.fill(TEXTS[1])
    place = [at for at, id_ in enumerate(objective.template.fill([-1] * 3)) if id_ < 0][2]
    logits = toy.logits(inputs)[place - 1]
    counted = sum(objective._surprisal.counted)
    np.testing.assert_allclose(own[0, 1], -torch.tensor(logits).log_softmax(-1)[words] / counted, atol=1e-5)
    assert float(objective.cost.spent[0]) == pytest.approx(len(TEXTS) * place / len(inputs))
    if not prefix:  # the first word has nothing before it, and is not counted
        assert not objective.word_surprisal(texts, 0).any()


def test_within_a_bound_coordinate_ascent_tries_words_that_keep_it():
    """The toy's words follow each other with very different probabilities: without the price fewer of the texts tried are allowed."""
    inside = []
    for most in (2.2, 100.0):
        objective, tried = judged(Toy(), weight=0.0, band=(0.0, most)), []
        start = torch.tensor([[TEXTS[1]]])
        method = Watched(Coordinate(2, 3, blend=0), lambda number, proposal, scores, tried=tried: tried.append(scores.surprisal))
        search(objective, method, Budget(forwards=300), start=start)
        inside.append(float((torch.cat(tried[3:], 1) <= 2.2).float().mean()))
    assert inside[0] > inside[1] + 0.1
    assert judged(Toy(), weight=0.0, band=(2.0, np.inf)).surprisal_bounds == ()


def test_a_weight_makes_texts_less_surprising_and_the_band_holds_what_is_kept():
    toy = Toy()
    lexicon = judged(toy).lexicon.tolist()
    every = Corpus("all", np.array([[i, j, k] for i in lexicon for j in lexicon for k in lexicon]))
    found = [search(judged(toy, weight=weight), every).found[0] for weight in (0.0, 0.3, 1.0, 100.0)]
    nats_of = [float(one.surprisal[0]) for one in found]
    assert nats_of == sorted(nats_of, reverse=True)
    assert nats_of[0] > nats_of[-1]
    banded = search(judged(toy, weight=0.0, band=(1.0, 2.5)), every, n=5).found[0]
    assert ((banded.surprisal >= 1) & (banded.surprisal <= 2.5)).all()
    climbed = search(judged(toy, weight=0.3), presets.modern("gbl", 2000)).found[0]
    optimum = float(found[1].activation[0]) - 0.3 * nats_of[1]
    assert float(climbed.activation[0]) - 0.3 * float(climbed.surprisal[0]) == pytest.approx(optimum, abs=1e-4)


@pytest.mark.parametrize("own", [True, False])
def test_activation_and_surprisal_come_from_one_forward_unless_the_language_model_is_another(own, monkeypatch):
    toy, asked, read = Toy(), [], Toy.read
    objective = judged(toy) if own else judged(toy, model=Toy(seed=7))
    for warm in (objective.score, objective.gradient):  # which tries how many texts give equal bits
        warm(torch.tensor([TEXTS]))
    objective.cost = Cost.at_zero(1)
    monkeypatch.setattr(Toy, "read", lambda self, embeds, sites, keep=None: asked.append(list(sites)) or read(self, embeds, sites, keep))
    objective.score(torch.tensor([TEXTS]))
    passes = objective.passes
    assert (passes, len(asked)) == ((1, 1) if own else (2, 2))
    assert (float(objective.cost.forwards), float(objective.cost.backwards)) == (4 * passes, 0)
    objective.gradient(torch.tensor([TEXTS]))
    assert len(asked) == 2 * passes
    assert (float(objective.cost.forwards), float(objective.cost.backwards)) == (8 * passes, 8 * passes)


@pytest.mark.parametrize("addresses", [["resid:1"], ["resid:1", "resid:2@0"], ["resid:0-3"]])
def test_one_forward_gives_what_two_give(addresses):
    toy, twin = Toy(), Toy()
    targets = resolve(addresses, toy)
    one, two = (Objective(toy, targets, 3, Template.parse("{}", toy.vocabulary), fluency=Fluency(0.5, model=m)) for m in (None, twin))
    assert (one.passes, two.passes) == (1, 2)
    own = torch.tensor(TEXTS).expand(len(targets), -1, -1)
    for texts in own[:1], own:
        for found, expected in zip(one.score(texts), two.score(texts), strict=True):
            torch.testing.assert_close(found, expected)
        torch.testing.assert_close(one.gradient(texts), two.gradient(texts))


def test_texts_that_do_not_survive_are_worth_nothing():
    toy = Toy()
    calls = []

    def counting(text):
        calls.append(text)
        return encode(text)

    toy = toy.with_vocabulary(encode=counting)
    objective = Objective(toy, resolve(["resid:1"], toy), 3, must_survive=True)
    texts = torch.tensor([[[5, 7, 8], [5, 6, 9], [5, 7, 8]]])  # " a d" + "og" reads as " a dog"
    assert objective.score(texts).value.isneginf().tolist() == [[True, False, True]]
    objective.score(texts)
    assert len(calls) == 2  # each text is tried once
    every = Corpus("all", np.array([[i, j, k] for i in (5, 6, 7) for j in (6, 7, 9) for k in (6, 8, 11)]))
    kept = search(objective, every, n=50).found[0].ids.tolist()
    assert len(kept) == 24  # of 27, the three that end in " d" and "og" are dropped
    assert all(encode(decode(text)) == text for text in kept)


@pytest.mark.parametrize("label", ["emb", "logit"])
def test_what_is_no_mixture_has_no_surprisal(label):
    with pytest.raises(InputError, match="use smx or gbl"):
        search(judged(Toy()), presets.modern(label, 100))


def test_models_that_do_not_say_what_comes_next_are_refused(tiny):
    both_ways = Toy(causal=False)
    with pytest.raises(InputError, match="is not causal"):
        judged(both_ways)
    silent = Toy()
    silent.sites = {"resid": silent.sites["resid"]}
    with pytest.raises(InputError, match="does not predict the next token"):
        judged(silent)
    with pytest.raises(InputError, match="nothing before it"):
        Objective(tiny, resolve(["visual:dog"], tiny), 1, fluency=Fluency(1.0))


@pytest.mark.parametrize(("text", "band"), [("2-6", (2, 6)), ("-6.5", (0, 6.5)), ("2-", (2, np.inf))])
def test_bands(text, band):
    assert Fluency.parse_band(text) == band


@pytest.mark.parametrize("text", ["", "2", "a-b", "2..3"])
def test_bad_bands_are_refused(text):
    with pytest.raises(InputError, match="such as 2-6"):
        Fluency.parse_band(text)


@pytest.mark.parametrize(
    "bad", [{"weight": -1.0}, {"repetition": -1.0}, {"weight": float("nan")}, {"band": (6.0, 2.0)}, {"band": (-1.0, 2.0)}]
)
def test_bad_settings_are_refused(bad):
    with pytest.raises(InputError, match="expected"):
        Fluency(**bad)


def test_fluency_is_a_frozen_setting():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Fluency().weight = 1.0
