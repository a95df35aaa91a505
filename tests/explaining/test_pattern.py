"""Patterns are printed, read back, found in texts and drawn from."""

import pytest

from optigram.errors import InputError
from optigram.explaining.pattern import MOST_GAP, Pattern
from optigram.text.vocabulary import Vocabulary

WRITTEN = ("[a]", "[a|b] [c]", "^ [a] … [b|c] $", "[a] not [b|c]", r"[\||\]|[|\\] … [a]", "^ [ a| b] … [c] … [d] $ not [ e]")


@pytest.mark.parametrize("text", WRITTEN)
def test_what_is_printed_is_read_back(text):
    pattern = Pattern.parse(text)
    assert str(pattern) == text
    assert Pattern.parse(str(pattern)) == pattern


@pytest.mark.parametrize("text", ["", "a", "[]", "[a", "[a] … ", "not [a]", "[a] or [b]", "[a] not", "…"])
def test_what_is_no_pattern_is_refused_in_one_line(text):
    with pytest.raises(InputError, match="expected a pattern such as"):
        Pattern.parse(text)


@pytest.mark.parametrize(
    ("pattern", "text", "places"),
    [
        ("[a|b]", "c b a", [1]),
        ("[a] [b]", "a c b a b", [3, 4]),
        ("[a] … [b]", "a c c b", [0, 3]),
        ("[a] … [b]", "a" + " c" * (MOST_GAP + 1) + " b", None),
        ("[a] … [b] [c]", "a b d b c", [0, 3, 4]),
        ("^ [a]", "b a", None),
        ("[a] $", "a b a", [2]),
        ("[a] $", "a b", None),
        ("[a] not [c]", "a b", [0]),
        ("[a] not [c]", "c a b", None),
        ("[a]", "", None),
    ],
)
def test_a_pattern_is_found_where_it_stands_first(pattern, text, places):
    assert Pattern.parse(pattern).find(text.split()) == places


def test_a_corpus_is_searched_and_texts_are_drawn():
    vocabulary, pattern = Vocabulary.of_words("abcd"), Pattern.parse("[a|b] [c]")
    assert list(pattern.find_in(["a c", "c a", "d b c"], vocabulary)) == [("a c", [0, 1]), ("d b c", [1, 2])]
    assert sorted(pattern.draw(vocabulary, 9)) == ["a c", "b c"]
    assert pattern.draw(vocabulary, 1, seed=3) == pattern.draw(vocabulary, 1, seed=3)
    with pytest.raises(InputError, match="the model's vocabulary, got 'x'"):
        Pattern.parse("[x]").draw(vocabulary, 1)
