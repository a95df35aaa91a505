import pytest

from optigram.errors import InputError
from optigram.text.lexicon import Rules, _printing, lexicon
from optigram.text.vocabulary import Vocabulary
from toy import TOKENS, vocabulary

PIECES = vocabulary()


def tokens(rules=None, seen_in=None):
    return [TOKENS[i] for i in lexicon(PIECES, rules, seen_in)]


def test_special_undecodable_and_non_printing_tokens_are_never_proposed():
    assert tokens() == [token for token in TOKENS[3:] if token not in ("\n", "\ufffd")]
    assert tokens(Rules(special=True)) == list(TOKENS)


@pytest.mark.parametrize("token", ["", " ", "   ", "\n", "\t", "a\n", "\u200b", "\x00", "\ufffd", "\u202e"])
def test_what_prints_nothing(token):
    assert not _printing(token)


@pytest.mark.parametrize("token", ["a", " a", "##ing", "\u00e9", " \u4e2d", "!"])
def test_what_prints(token):
    assert _printing(token)


@pytest.mark.parametrize(
    ("rules", "left"),
    [
        (Rules(words="whole"), [" a", " dog", " d", " cat", " Dog"]),
        (Rules(without=(" dog",)), [" a", " d", "og", " cat", "s", " 7", ","]),
        (Rules(without=("DOG", " cat")), [" a", " d", "og", "s", " 7", ","]),
        (Rules(matching="^ [a-z]+$"), [" a", " dog", " d", " cat"]),
        (Rules(matching="og", words="whole"), [" dog", " Dog"]),
    ],
)
def test_rules(rules, left):
    assert tokens(rules) == left


def test_words_seen_in_a_corpus():
    assert tokens(seen_in=[" a dog", " cats"]) == [" a", " dog", " cat", "s"]


def test_whole_words_of_word_pieces_and_of_word_lists():
    pieces = vocabulary(tokens=("[CLS]", "[SEP]", "[UNK]", "run", "##ning", "7", "Caf\u00e9"))
    assert lexicon(pieces, Rules(words="whole")).tolist() == [3, 6]
    assert lexicon(pieces, Rules(without=("ning",))).tolist() == [3, 5, 6]
    assert lexicon(Vocabulary.of_words(("man", "2")), Rules(words="whole")).tolist() == [3]


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        (Rules(matching="zebra"), "no word is left"),
        (Rules(matching="("), "no regular expression"),
        (Rules(without=("dgo",)), "did you mean dog"),
    ],
)
def test_bad_rules_are_one_line(rules, said):
    with pytest.raises(InputError, match=said) as error:
        lexicon(PIECES, rules)
    assert "\n" not in str(error.value)


def test_a_corpus_without_known_words_leaves_none():
    with pytest.raises(InputError, match="no word is left"):
        lexicon(PIECES, seen_in=["\n"])
