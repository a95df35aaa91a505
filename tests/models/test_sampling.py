"""Sampled texts: against the distribution that the toy's own logits define, and by what is promised of them."""

import copy
import dataclasses
from collections import Counter

import numpy as np
import pytest
import torch
from tiny_models import network

import toy
from optigram.errors import InputError
from optigram.models.network import Network
from optigram.models.sampling import BLOCK, _writer, sample_texts


def distribution(model, ids, temperature, blocked):
    """Shares [v] of the next token, in NumPy, from the definition."""
    scores = model.logits(ids)[-1] / temperature
    scores[list(blocked)] = -np.inf
    return np.exp(scores - scores.max()) / np.exp(scores - scores.max()).sum()


@pytest.mark.parametrize("temperature", [0.7, 1.0, 2.0])
def test_tokens_are_drawn_by_the_model_s_own_distribution(temperature):
    """Two tokens of 128,000 texts: counts within five standard errors of the shares. `<s>` and `</s>` end a text, `<unk>` is blocked."""
    model = toy.Toy()
    writer, generator = _writer(model, 2, temperature), torch.Generator().manual_seed(0)
    drawn = Counter()
    writer = dataclasses.replace(writer, model=model.with_vocabulary(decode=lambda ids: " ".join(map(str, ids))))
    blocks = 1000
    for _ in range(blocks):
        drawn.update(writer.block(generator))
    total, ends, unknown = blocks * BLOCK, {0, 1, 3}, 2
    first = distribution(model, [0], temperature, [unknown])
    for one in set(range(len(toy.TOKENS))) - ends - {unknown}:
        second = distribution(model, [0, one], temperature, [unknown])
        shares = {f"{one} {two}": first[one] * second[two] for two in range(len(toy.TOKENS)) if two not in ends}
        shares[str(one)] = first[one] * sum(second[list(ends)])
        for text, share in shares.items():
            assert abs(drawn[text] / total - share) <= 5 * np.sqrt(share * (1 - share) / total) + 5 / total
    assert drawn[""] / total == pytest.approx(first[list(ends)].sum(), abs=0.01)


CAUSAL = ["gpt2", "pythia", "llama", "gemma2", "cohere"]


@pytest.mark.parametrize("name", CAUSAL)
def test_texts_depend_on_the_seed_and_hold_no_special_token(name):
    model = network(name)
    found = sample_texts(model, 150, seed=3, length=6)
    assert len(found) == len(set(found)) == 150
    assert found == sample_texts(model, 150, seed=3, length=6)
    assert found != sample_texts(model, 150, seed=4, length=6)
    assert found[:20] == sample_texts(model, 20, seed=3, length=6)
    special = {model.vocabulary.tokens[i] for i in model.vocabulary.special}
    assert all(text.strip() == text and "\n" not in text and not any(token in text for token in special) for text in found)
    assert found != sample_texts(model, 150, seed=3, length=6, temperature=0.5)


@pytest.mark.parametrize("name", CAUSAL)
def test_a_kv_cache_writes_what_whole_forwards_write(name, monkeypatch):
    cached = sample_texts(network(name), 40, length=5)
    assert network(name).step is not None
    monkeypatch.setattr(Network, "step", None)
    assert sample_texts(network(name), 40, length=5) == cached


def test_imaginet_writes_in_its_own_way(tiny):
    done = []
    found = sample_texts(tiny, 30, seed=1, progress=done.append)
    assert found == list(tiny.sample(30, torch.Generator().manual_seed(1)))
    assert done == [30]
    untrained = copy.deepcopy(tiny)
    untrained.first_words.zero_()
    with pytest.raises(InputError, match="trained on none; give a corpus"):
        sample_texts(untrained, 3)


def test_a_model_without_a_begin_symbol_starts_anywhere():
    model = toy.Toy(prefix=(), tokens=("?", *toy.TOKENS[1:]))
    first = {toy.encode(text)[0] for text in sample_texts(model, 60, length=3)}
    assert len(first) > 5


def test_progress_counts_texts():
    done = []
    sample_texts(network("gpt2"), 300, length=4, progress=done.append)
    assert done == sorted(done)
    assert done[-1] == 300


@pytest.mark.parametrize("name", ["bert", "roberta", "t5", "minilm"])
def test_an_encoder_is_told_to_take_a_corpus(name):
    with pytest.raises(InputError, match="give a corpus") as error:
        sample_texts(network(name), 5)
    assert "\n" not in str(error.value)


def test_a_model_with_little_to_say_is_one_line():
    with pytest.raises(InputError, match="expected 1000 different texts, but toy wrote only"):
        sample_texts(toy.Toy(), 1000, length=1)


@pytest.mark.parametrize("settings", [{"count": 0}, {"count": 5, "length": 0}, {"count": 5, "temperature": 0.0}])
def test_numbers_out_of_range_are_refused(settings):
    with pytest.raises(InputError, match="expected count and length of at least 1"):
        sample_texts(toy.Toy(), **settings)
