"""n-grams are those of plain Python: within a text, of allowed words, unique, and placed where each stands first."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optigram.errors import InputError
from optigram.text import ngrams as module
from optigram.text.ngrams import NGrams
from optigram.text.vocabulary import Vocabulary

WORDS = ("a", "b", "c")


def test_ngrams_are_unique_sorted_and_within_a_text():
    found = NGrams.read(["a b a b", "b a c", "a zebra b", "c"], Vocabulary.of_words(WORDS), 2, np.array([3, 4, 5]))
    assert found.ids.tolist() == [[3, 4], [3, 5], [4, 3]]
    assert found.text.tolist() == [0, 1, 0]
    assert found.position.tolist() == [0, 1, 1]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.lists(st.integers(0, 5), max_size=9), max_size=12),
    st.integers(1, 4),
    st.sampled_from([7, 1 << 20]),
    st.integers(0, 1 << 40),
)
def test_ngrams_are_those_of_plain_python(rows, length, block, large):
    """In any blocks, and for ids of any size, which are packed one by one if they must be."""
    vocabulary, allowed = Vocabulary.of_words(tuple("abc")), np.arange(5)
    first: dict[tuple, tuple] = {}
    for number, row in enumerate(rows):
        for start in range(len(row) - length + 1):
            if all(id_ < 5 for id_ in row[start : start + length]):
                first.setdefault(tuple(row[start : start + length]), (number, start))
    encode = {str(number): row for number, row in enumerate(rows)}
    vocabulary = dataclasses.replace(vocabulary, encode=encode.__getitem__)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BLOCK", block)
        if not first:
            with pytest.raises(InputError):
                NGrams.read(encode, vocabulary, length, allowed)
            return
        found = NGrams.read(encode, vocabulary, length, allowed)
    assert [(tuple(ids), (t, p)) for ids, t, p in zip(found.ids.tolist(), found.text, found.position, strict=True)] == sorted(first.items())
    shifted = NGrams(found.ids + large, found.text, found.position)
    again, group = shifted.unique()
    assert (again.ids == shifted.ids).all()
    assert (group == np.arange(len(found))).all()


@pytest.mark.parametrize(
    ("texts", "length", "said"),
    [(["a b"], 3, "no text of the corpus has 3 words"), (["zebra gnu emu"], 2, "a word that the model does not know")],
)
def test_a_corpus_without_an_ngram_is_refused(texts, length, said):
    with pytest.raises(InputError, match=said):
        NGrams.read(texts, Vocabulary.of_words(("a", "b")), length, np.array([3, 4]))
