"""What is read in a description: order, alternatives and negation, judged with exact words."""

import numpy as np
import pytest

from optigram.explaining.reading import Reading


def fits(description: str, text: str) -> float:
    words, reading = text.split(), Reading.of(description)
    assert reading is not None
    return reading.fits(lambda word: np.array([3.0 if one == word else 0.0 for one in words]), len(words), 3.0)


@pytest.mark.parametrize(
    ("description", "yes", "no"),
    [
        ("dog before cat", "a dog and cat", "a cat and dog"),
        ("dog anywhere after cat", "cat near the dog", "dog near cat"),
        ("dog directly before cat", "the dog cat", "dog the cat"),
        ("dog directly after cat", "the cat dog", "cat the dog"),
        ("dog alternatively cat", "one cat", "one cow"),
        ("“dog” or “cow”, then “cat”, at the end of the text; or “then”", "cow cat", "cat cow"),
        ("“dog” or “cow”, then “cat”; or “then”, with “tree”", "and then", "a tree"),
        ("dog but not with cat", "a dog", "a dog cat"),
        ("dog; but not with “cat” or “cow”", "dog tree", "dog cow"),
        ("dog unless cat precedes", "dog cat", "cat dog"),
    ],
)
def test_a_rule_is_read(description, yes, no):
    assert fits(description, yes) == 3
    assert fits(description, no) <= 0


@pytest.mark.parametrize(
    "description", ["dogs", "words of umbrellas in rain", "“dog” or “cat”", "without", "a man in a long red coat before a house"]
)
def test_other_descriptions_are_compared_as_they_are(description):
    assert Reading.of(description) is None
