"""The corpus of a search by default, sampled, or given."""

import pytest
from tiny_models import network

from optigram.errors import InputError
from optigram.runs.corpus import corpus_for


def test_a_model_of_captions_writes_its_own_corpus(tiny):
    corpus = corpus_for(tiny, "sampled:20", seed=1)
    assert len(list(corpus.texts())) == 20
    assert list(corpus.texts()) == list(corpus_for(tiny, "sampled:20", seed=1).texts())
    assert "20 texts sampled" in corpus.name


@pytest.mark.parametrize("bad", ["sampled:", "sampled:0", "sampled:-1", "sampled:many", "sampled:99999999999", "sampled:" + "9" * 5000])
def test_a_bad_count_is_refused(tiny, bad):
    with pytest.raises(InputError, match="N from 1 to 10,000,000"):
        corpus_for(tiny, bad)


def test_whatever_can_be_opened_is_a_corpus(tiny):
    assert list(corpus_for(tiny, ["a b", "c"]).texts()) == ["a b", "c"]


def test_the_default_is_what_a_causal_model_samples_or_captions_for_an_encoder(tiny):
    told = []
    corpus = corpus_for(tiny, None, tell=told.append)
    assert len(list(corpus.texts())) == 1000
    assert "sampled from the model" in corpus.name
    assert "sampling 1,000 texts" in told[0]
    encoder = network("bert")
    captions = corpus_for(encoder, None)
    assert len(list(captions.texts())) == 2000
    assert "bundled captions" in captions.name
