"""What the fuzz tests share: how many inputs a run makes, odd pieces of text, mutations, and what a refusal must look like.

Every input follows from a seed. A run makes a fixed share of them; with FUZZ=1 in the environment (`make fuzz`) it makes all.
"""

import os
import random
from collections.abc import Iterator, Sequence

from optigram.errors import InputError

ODD = [
    "",
    " ",
    "\t",
    "\n",
    "\r",
    "\0",
    "\x1b[31m",
    "\x85",
    "\xa0",
    "\u200f",
    "\u202e",
    "\u2028",
    "\ufeff",
    "\ufffd",
    "\U0001f600",
    "e\u0301",
]
ODD += [
    "\ud800",
    "\udfff",
    '"',
    "'",
    "\\",
    "/",
    "../",
    "~",
    "#",
    ":",
    "::",
    "@",
    "*",
    ",",
    "{",
    "}",
    "[",
    "]",
    "-",
    "+",
    "=",
    "%",
    "%s",
    "|",
]
NUMBERS = [
    "0",
    "-0",
    "1",
    "-1",
    "007",
    "1e5",
    "1e39",
    "1e-50",
    "1e999",
    "nan",
    "inf",
    "-inf",
    "9" * 19,
    "9" * 5000,
    "\u0663",
    "\u00b2",
    "0x1f",
]
LONG = ["x" * 300, "a " * 2000, "[" * 2000, "(" * 500]


def numbered(full: int, share: int) -> Iterator[tuple[int, random.Random]]:
    """The numbers of the inputs that this run makes, each with a generator of its own; FUZZ=2/4 makes the second quarter of all."""
    part, _, parts = os.environ.get("FUZZ", "").partition("/")
    numbers = range(share) if not part else range(int(part) - 1, full, int(parts or 1))
    for number in numbers:
        yield number, random.Random(number)


def odd(chance: random.Random, words: Sequence[str] = ()) -> str:
    """A piece of text that may be anything: one of the words, an odd sign, a number, or something long."""
    return chance.choice(chance.choice([list(words) or ODD, ODD, NUMBERS, LONG]))


def mutated(chance: random.Random, text: str, words: Sequence[str] = ()) -> str:
    """The text with up to three changes: something inserted, left out, doubled or replaced."""
    for _ in range(chance.randint(1, 3)):
        begin = chance.randint(0, len(text))
        end = min(begin + chance.choice([0, 0, 1, 1, 2, 8]), len(text))
        text = text[:begin] + chance.choice([odd(chance, words), "", text[begin:end] * 2]) + text[end:]
    return text


def mutated_bytes(chance: random.Random, data: bytes) -> bytes:
    """The bytes with up to three changes: bits turned, bytes inserted or left out, the end cut off."""
    changed = bytearray(data)
    for _ in range(chance.randint(1, 3)):
        at = chance.randint(0, len(changed))
        match chance.randint(0, 4):
            case 0:
                changed[at : at + 1] = bytes([chance.randint(0, 255)])
            case 1:
                changed[at:at] = chance.randbytes(chance.choice([1, 2, 40]))
            case 2:
                del changed[at : at + chance.choice([1, 10, 100])]
            case 3:
                del changed[at:]
            case 4:
                changed[at : at + 8] = chance.choice([b"\0" * 8, b"\xff" * 8, b"\n\r\n\r", b'"', b","])
    return bytes(changed)


def mutated_value(chance: random.Random, value: object, words: Sequence[str] = ()) -> object:
    """A JSON value with one part of it replaced by something odd, or left out."""
    if isinstance(value, dict) and value and chance.random() < 0.85:
        name = chance.choice(list(value))
        if chance.random() < 0.15:
            return {key: one for key, one in value.items() if key != name} | (
                {odd(chance): one_of(chance)} if chance.random() < 0.5 else {}
            )
        return value | {name: mutated_value(chance, value[name], words)}
    if isinstance(value, list) and value and chance.random() < 0.7:
        place = chance.randrange(len(value))
        return [*value[:place], mutated_value(chance, value[place], words), *value[place + 1 :]]
    if isinstance(value, str) and chance.random() < 0.5:
        return mutated(chance, value, words)
    return one_of(chance)


def one_of(chance: random.Random) -> object:
    """A JSON value of any kind."""
    deep: object = 0
    for _ in range(chance.choice([1, 3, 50])):
        deep = [deep] if chance.random() < 0.5 else {"a": deep}
    numbers = [0, 1, -1, 2**31, 2**63, 10**30, -(10**30), 0.5, 1e39, 1e308, float("nan"), float("inf"), True, False, None]
    return chance.choice([*numbers, odd(chance), [], {}, [1, "a", None], deep])


def assert_one_line(error: InputError) -> None:
    """A refusal says something, on one line that a terminal shows as it is."""
    said = str(error)
    assert said.strip()
    assert said.isprintable(), said[:200]
    assert len(said) < 1100, said[:200]
