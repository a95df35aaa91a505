import pytest
from hypothesis import given
from hypothesis import strategies as st

from optigram.errors import InputError
from optigram.text.lexicon import Rules, lexicon
from optigram.text.template import Template
from optigram.text.vocabulary import Vocabulary
from toy import vocabulary

VOCABULARY = Vocabulary.of_words(("a", "man", "citys", "2"))


def test_words_are_lower_case_letters_and_digits():
    assert Vocabulary.words_of("A man's, 2 half-eaten Caf\u00e9s.\n") == ["a", "mans", "2", "half", "eaten", "caf\u00e9s"]


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


@pytest.mark.parametrize("text", ["a man", "{} a {}", "a zebra {}", "{2} and {}", "{0} a", ""])
def test_a_bad_template_is_refused(text):
    with pytest.raises(InputError):
        Template.parse(text, VOCABULARY)


def test_an_unknown_word_of_a_template_is_named():
    with pytest.raises(InputError, match="zebra"):
        Template.parse("a zebra {}", VOCABULARY)


def test_slots_share_the_free_words():
    template = Template.parse("a {2} man {1}", VOCABULARY)
    assert (template.length, template.fill([5, 6, 5])) == (3, [3, 5, 6, 4, 5])
    assert Template.parse("{3}", VOCABULARY).fill([5, 6, 5]) == [5, 6, 5]
    assert Template.parse("{1}{2}", VOCABULARY).fill([5, 6, 5]) == [5, 6, 5]


@pytest.mark.parametrize("text", [" a {}", "<s> a {}", " a {},", "<s> a {}</s>"])
def test_begin_and_end_stand_exactly_once(text):
    pieces = vocabulary(prefix=(0,), suffix=(1,))
    whole = Template.parse(text, pieces).fill([6, 9])
    assert (whole.count(0), whole.count(1), whole[0], whole[-1]) == (1, 1, 0, 1)
    assert whole[1:4] == [5, 6, 9]


def test_a_chat_template_brings_its_own_begin_symbol():
    pieces = vocabulary(prefix=(0,), suffix=(1,))
    assert Template.parse(" cat {}", pieces, chat=True).fill([6]) == [0, 5, 9, 6, 14, 1]
    with pytest.raises(InputError, match="no chat template"):
        Template.parse("{}", VOCABULARY, chat=True)


def test_the_blank_before_a_slot_belongs_to_the_first_free_word():
    pieces = vocabulary()
    assert Template.parse(" a {}", pieces) == Template.parse(" a{}", pieces)


@pytest.mark.parametrize(
    ("free", "survives"),
    [([6, 9], True), ([7, 8], False), ([8], True), ([7], True), ([4], True)],
)
def test_the_whole_text_must_survive(free, survives):
    """ " d" and "og" melt into " dog"; and so does "og" behind a template that ends in " d"."""
    pieces = vocabulary(prefix=(0,), suffix=(1,))
    assert pieces.survives(Template.bare(pieces).fill(free)) is survives
    assert not pieces.survives(Template.parse(" d{}", pieces).fill([8]))
