import itertools

import pytest

from optigram.papers.poerner2018.function_words import CLASSES, CONTENT, class_of
from optigram.text.vocabulary import Vocabulary


def test_a_word_stands_in_one_class():
    for one, other in itertools.combinations(CLASSES.values(), 2):
        assert not one & other


def test_words_are_as_models_read_them():
    for word in itertools.chain.from_iterable(CLASSES.values()):
        assert Vocabulary.words_of(word) == [word]


@pytest.mark.parametrize(
    ("text", "classes"),
    [
        ("Two dogs don't sit", [CONTENT, CONTENT, "auxiliary", CONTENT]),
        ("up the hill with his umbrella", ["particle", "determiner", CONTENT, "preposition", "pronoun", CONTENT]),
        ("who is not here and there", ["wh-word", "auxiliary", "negation", "adverb", "conjunction", "pronoun"]),
        ("<unk>", [CONTENT]),
    ],
)
def test_classes_of_words(text, classes):
    found = [class_of(word) for word in Vocabulary.words_of(text)]
    assert found == classes
