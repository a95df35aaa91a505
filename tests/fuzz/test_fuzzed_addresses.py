"""Addresses of every kind, right and wrong, against the bundled model's names: each is read as what it says, or refused in one line."""

import numpy as np
import pytest
from inputs import ODD, assert_one_line, mutated, numbered, odd

from optigram.errors import InputError
from optigram.models.loading import load
from optigram.targets.address import POOLS, Address
from optigram.targets.readouts import Unit
from optigram.targets.target import resolve

FULL, SHARE, RESOLVED = 100_000, 3_000, 0.08  # the share that is looked up in the model, whose thousands of names take their time
SITES = ["language", "visual", "language.hidden", "visual.hidden", "logit", "log_prob", "mlp_act.5", "resid_post.8@in", "nowhere", "custom"]
FILES = ["probe.safetensors", "sae/folder", '"a #b"', "memory:0a1b2c3d", "../../x", "x" * 300]
UNITS = [
    "0",
    "7",
    "0-3",
    "5-2",
    "umbrella",
    "pizza",
    '" Paris"',
    '"7"',
    "1,2",
    "dog,cat",
    "traffic light",
    "0-99999999999",
    '"\\ud83d\\ude00"',
]


@pytest.fixture(scope="module")
def bundled():
    return load("imaginet", device="cpu")


def address(chance) -> str:
    """An address by the grammar, sometimes with something odd in the place of a part."""

    def part(usual):
        return odd(chance, usual) if chance.random() < 0.06 else chance.choice(usual)

    def term():
        weight = f"{part(['2', '0.5', '1e3', '1e-3', '3e38', '1e39', '0'])}*" if chance.random() < 0.25 else ""
        file = f"{part(FILES)}#" if chance.random() < 0.12 else ""
        return f"{weight}{part(SITES)}:{file}{part(UNITS)}"

    if chance.random() < 0.01:
        return f"{chance.choice(['visual', 'language'])}:*"
    signs = chance.choices([" + ", " - "], k=chance.choice([0, 0, 0, 0, 1, 2]))
    pool = f"@{part([*POOLS, '0', '3'])}" if chance.random() < 0.3 else ""
    return ("-" if chance.random() < 0.2 else "") + term() + "".join(sign + term() for sign in signs) + pool


def test_every_address_is_read_as_it_says_or_refused(bundled):
    read = resolved = 0
    for _, chance in numbered(FULL, SHARE):
        text = address(chance)
        if chance.random() < 0.4:
            text = mutated(chance, text, [*SITES, *UNITS])
        try:
            found = Address.parse(text)
        except InputError as error:
            assert_one_line(error)
            continue
        read += 1
        assert Address.parse(str(found)) == found, text
        assert all(np.isfinite(np.float32(term.weight)) and np.float32(term.weight) != 0 for term in found.terms), text
        if chance.random() > RESOLVED:
            continue
        try:
            targets = resolve(text, bundled)
        except InputError as error:
            assert_one_line(error)
            continue
        resolved += 1
        for target in targets[:3]:
            assert resolve(str(target), bundled) == (target,), text
            for term in target.terms:
                if isinstance(term.readout, Unit):
                    assert 0 <= term.readout.index < bundled.sites[term.site].width
    assert read > 1000
    assert resolved > 10


def test_what_is_no_address_is_refused():
    for _, chance in numbered(20_000, 1_000):
        text = "".join(chance.choices([*ODD, "visual", "pizza", "7", "a"], k=chance.randint(0, 12)))
        try:
            assert Address.parse(str(Address.parse(text))) == Address.parse(text), text
        except InputError as error:
            assert_one_line(error)
