"""Names of methods, chains and import paths, and what they build."""

import sys

import pytest

from optigram.errors import InputError
from optigram.methods import Ascent, Coordinate, Gcg, Then, chains, method_named, registry

WRONG = {
    "": "unknown method",
    "gumbel": "did you mean",
    "gbl+crp": "put it first",
    "coordinate+gbl": "put it last",
    "coordinate:faithful": "no variants",
    "crp:faithful": "no variants",
    "auto+gbl": "leave it out",
    "crp+auto": "leave it out",
    "gbl:best": "variant",
    "no_such_package.Method": "No module named",
    "gumbel:faithful": "did you mean gbl|expected one of",
    "math.sqrt": "without patience|needs|expected",
    "math.pi": "class or function",
    "own_methods:Nothing": "has no attribute",
    "own_methods.Incomplete": "without ends",
    "own_methods:two": "needs one, other",
    ".x": "unknown method",
}
OWN = """
from optigram.methods import Random, modern

class Mine(Random):
    pass

class Incomplete:
    patience = None

ready = Random(7)

def make(budget):
    return Random(int(budget))

def with_default(texts=9):
    return Random(texts)

def two(one, other):
    return ready

def short(budget):
    return modern("smx", budget)
"""


@pytest.fixture(autouse=True)
def own_methods(tmp_path, monkeypatch):
    """A module in the working folder, which is not on the path."""
    (tmp_path / "own_methods.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    yield
    sys.modules.pop("own_methods", None)


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_name_is_refused_in_one_line(name):
    with pytest.raises(InputError, match=WRONG[name]) as caught:
        chains.Chain.parse(name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", [name for name in chains.NAMES if name != "crp"])
def test_every_name_makes_a_method(name):
    assert method_named(name, 1000).batch


def test_a_chain_shares_its_budget():
    made = chains.Chain.parse("crp+gbl+coordinate").method(2000, block=8)
    assert isinstance(made, Then)
    assert isinstance(made.first, Ascent)
    assert made.first.forwards <= 1000
    assert isinstance(made.second, Coordinate)
    assert (made.first.block, made.second.block) == (8, 8)


def test_auto_begins_from_a_corpus_if_there_is_one():
    assert chains.Chain.parse("auto").corpus
    assert (chains.Chain.parse("auto").name, chains.Chain.parse("auto").expanded) == ("auto", "crp+coordinate")
    assert not chains.Chain.parse("auto", corpus=False).corpus
    with pytest.raises(InputError, match="needs a corpus"):
        method_named("crp+coordinate")


@pytest.mark.parametrize(
    ("path", "texts"), [("own_methods.Mine", 64), ("own_methods:ready", 7), ("own_methods:make", 300), ("own_methods.with_default", 9)]
)
def test_an_import_path_gives_an_object_or_what_a_class_or_function_makes(path, texts):
    before = list(sys.path)
    assert method_named(path, 300).texts == texts
    assert sys.path == before
    assert registry.imports(path)


def test_an_import_path_may_be_part_of_a_chain():
    made = method_named("own_methods.short+gcg", 600)
    assert made.first.cost(float("inf")) <= 300
    assert not registry.imports("crp+gbl:faithful/2+gcg")


def test_a_method_object_stays_as_it_is_and_is_labelled_by_its_settings():
    method = Coordinate(4, 32)
    assert method_named(method, 10) is method
    assert chains.Chain.parse(method).links == (method,)
    assert [chains.Chain.parse(by).name for by in ("gbl", method, Gcg())] == ["gbl", "Coordinate(candidates=32)", "Gcg"]
