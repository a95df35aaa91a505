import pytest
from hypothesis import given
from hypothesis import strategies as st

from optigram.errors import InputError
from optigram.targets import address as grammar
from optigram.targets.address import Address
from optigram.targets.readouts import Term, Unit
from optigram.targets.target import Target, resolve

names = st.text(min_size=1).filter(lambda text: not text.isdecimal())
spans = st.tuples(st.integers(0, 99), st.integers(0, 99)).map(lambda pair: range(pair[0], pair[0] + pair[1] + 1))
units = st.one_of(st.integers(0, 10**6), names, st.integers(0, 99).map(str), spans)
sites = st.builds(str.__add__, st.from_regex(r"[a-z_]+(\.[a-z0-9_]+)*", fullmatch=True), st.sampled_from(["", "@in"]))
files = st.one_of(
    st.none(),
    st.from_regex(r"memory:([a-z]+\.)?[0-9a-f]{8}", fullmatch=True),
    st.from_regex(r"[a-z]+(/[a-z]+)*(\.safetensors)?", fullmatch=True),
    st.text(min_size=1),
)
weights = st.one_of(st.just(1.0), st.floats(1e-9, 1e9)).flatmap(lambda size: st.sampled_from([size, -size]))
pools = st.one_of(st.sampled_from(["last", "max", "mean", "anywhere"]), st.integers(0, 99))
many = st.one_of(st.none(), st.lists(units, min_size=1, max_size=4).map(tuple))
single = st.tuples(st.one_of(st.integers(0, 10**6), names))
functions = st.builds(grammar.Term, st.just("custom"), st.lists(st.one_of(sites, names), min_size=1, max_size=3).map(tuple), files, weights)
sums = st.lists(st.one_of(st.builds(grammar.Term, sites, single, files, weights), functions), min_size=1, max_size=4).map(tuple)
addresses = st.builds(Address, st.one_of(sums, st.tuples(st.builds(grammar.Term, sites, many, files, weights))), pools)


@given(addresses)
def test_parse_and_print_round_trip(address):
    assert Address.parse(str(address)) == address


def test_a_target_prints_the_address_that_resolves_to_it(tiny):
    for text in ("language:a", "-visual:dog@max", 'visual:"traffic light"', "visual.hidden:7@0", "language:5"):
        (target,) = resolve([text], tiny)
        assert resolve([str(target)], tiny) == (target,)


def test_ranges_lists_and_stars_expand_in_order_and_once(tiny):
    found = resolve(["language.hidden:0-2,5", "language.hidden:1", "visual:*"], tiny)
    assert [target.terms[0].readout.index for target in found] == [0, 1, 2, 5, 0, 1, 2]


def test_name_and_index_are_the_same_target(tiny):
    assert resolve(["visual:dog", "visual:1"], tiny) == (Target((Term("visual", Unit(1, "dog")),)),)


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("vizual:dog", "did you mean visual"),
        ("visual:dgo", "did you mean dog"),
        ("visual:3", "out of range"),
        ("visual:0-9", "out of range"),
        ("visual:5-2", "write 2-5"),
        ("visual:", "malformed"),
        ("dog", "malformed"),
        ("visual:dog@first", "unknown pool"),
        ("visual:dog,", "empty unit"),
        ('visual:"dog', "malformed"),
        ("visual.hidden:dog", "no names"),
        ("", "malformed"),
    ],
)
def test_a_bad_address_is_one_line_that_names_the_remedy(tiny, address, said):
    with pytest.raises(InputError, match=said) as error:
        resolve([address], tiny)
    assert "\n" not in str(error.value)
