import pytest
from hypothesis import given
from hypothesis import strategies as st

from optigram.errors import InputError
from optigram.lexicon import Rules, lexicon
from optigram.text import Template, word_vocabulary, words_of

VOCABULARY = word_vocabulary(("a", "man", "citys", "2"))


def test_words_are_lower_case_letters_and_digits():
    assert words_of("A man's, 2 half-eaten Caf\u00e9s.\n") == ["a", "mans", "2", "half", "eaten", "caf\u00e9s"]


def test_unknown_words_become_unk():
    assert VOCABULARY.encode("A zebra man") == [3, 2, 4]


@given(st.lists(st.integers(3, 6), min_size=1))
def test_texts_of_plain_words_survive(ids):
    assert VOCABULARY.survives(ids)


def test_special_tokens_do_not_survive_and_are_not_proposed():
    assert not VOCABULARY.survives([1, 3])
    assert lexicon(VOCABULARY).tolist() == [3, 4, 5, 6]
    assert lexicon(VOCABULARY, Rules(special=True)).tolist() == list(range(7))


def test_a_template_surrounds_the_free_words():
    template = Template.parse("a {} man", VOCABULARY)
    assert template.fill([5, 6]) == [3, 5, 6, 4]


@pytest.mark.parametrize("text", ["a man", "{} a {}", "a zebra {}"])
def test_a_bad_template_is_refused(text):
    with pytest.raises(InputError):
        Template.parse(text, VOCABULARY)
