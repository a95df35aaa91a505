"""Names of methods, and what they stand for."""

import pytest

from optigram.errors import InputError
from optigram.methods import Ascent, chains
from optigram.methods.combinators import Then
from optigram.methods.coordinate import Coordinate

WRONG = {
    "": "unknown method",
    "gumbel": "did you mean",
    "gbl+crp": "put it first",
    "coordinate+gbl": "put it last",
    "coordinate:faithful": "no variants",
    "auto+gbl": "leave it out",
    "crp+auto": "leave it out",
    "gbl:best": "variant",
}


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_is_told_in_one_line(name):
    with pytest.raises(InputError, match=WRONG[name]) as caught:
        chains.parse(name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", [name for name in chains.NAMES if name != "crp"])
def test_every_name_makes_a_method(name):
    assert chains.method(chains.parse(name, corpus=False), 1000).batch_targets


def test_a_chain_shares_its_budget():
    made = chains.method(chains.parse("crp+gbl+coordinate"), 2000)
    assert isinstance(made, Then)
    assert isinstance(made.first, Ascent)
    assert made.first.forwards <= 1000
    assert isinstance(made.second, Coordinate)


def test_auto_begins_from_a_corpus_where_there_is_one():
    assert chains.parse("auto").corpus
    assert not chains.parse("auto", corpus=False).corpus
