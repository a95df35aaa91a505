"""Addresses: targets written as text, for people, files and the command line.

    ADDRESS  [-]TERM [ + TERM | - TERM ...] [@POOL]
    TERM     [NUMBER*]SITE[@in]:[FILE#]UNITS

`language:umbrella`, `-visual:pizza@max`, `h.5.mlp.c_proj@in:0-99`, `logit:" he" - 0.5*logit:" she"`, `log_prob:" umbrella"`,
`resid_post.8:probe.safetensors#happy`, `resid_post.8:sae/folder#1234`, `custom:package.module.function#resid_post.8`. A unit is
an index, a range, `*`, or a name, in double quotes where it would read as one of the others. See `docs/targets.md`.
"""

import json
import math
import re
from dataclasses import dataclass
from typing import Literal

from optigram.errors import InputError
from optigram.text.columns import TextColumn

Pool = Literal["last", "max", "mean", "anywhere"] | int  # over positions; an int is one position, counted from 0
POOLS = ("last", "max", "mean", "anywhere")
LOGIT, LOG_PROB = "logit", "log_prob"  # sites of every model with vocabulary logits, wherever it has them
SCORE = "score"  # the site of reward models, which may stand alone in an address
CUSTOM = "custom"  # the site of functions; FILE is the function, UNITS are the sites that it reads
MEMORY = "memory:"  # how FILE begins where it is an object in memory; a hash of its content follows
Units = tuple[int | str | range, ...] | None  # indices, names and ranges; None stands for all units of the site

DIGITS = 18  # of an index; more than any model has units
SMALLEST, LARGEST = 2.0**-126, (2 - 2.0**-23) * 2.0**127  # of a weight in float32; below, it loses digits and then all of it
QUOTED = r'"(?:[^"\\]|\\.)*"'
NUMBER = r"\d+(?:\.\d+)?(?:e[+-]?\d+)?"
JOIN = re.compile(r"\s+([+-])\s+")
POOL = re.compile(r"@([a-z]+|\d+)$")
TERM = re.compile(rf'(?:({NUMBER})\*)?((?!-)[^\s:@,"*]+(?:@in)?):\s*(?:({QUOTED}|[^\s"#]+)#(?=.))?(.+)', re.DOTALL)
UNITS = re.compile(rf'\s*({QUOTED}|[^",]+)\s*(?:,|$)')
PLAIN_UNIT = re.compile(r"[\w.'/ ]+")
PLAIN_FILE = re.compile(r"[\w./~:+-]+")
HELP = "expected an address such as language:umbrella, visual:17, visual:0-9@max or -visual:pizza"


@dataclass(frozen=True)
class Term:
    """Units of a site, times a weight; `file` holds the direction or the autoencoder that they belong to."""

    site: str
    units: Units
    file: str | None = None
    weight: float = 1.0

    @property
    def single(self) -> bool:
        """Whether it stands for one number: a single unit, or a function of several sites."""
        if self.site == CUSTOM:
            return True
        return self.units is not None and len(self.units) == 1 and not any(isinstance(unit, range) for unit in self.units)


@dataclass(frozen=True)
class Address:
    """A parsed address: a sum of terms, pooled over positions. A sum of several terms names one unit in each."""

    terms: tuple[Term, ...]
    pool: Pool = "last"

    @classmethod
    def parse(cls, text: str) -> "Address":
        """Parse an address; `str()` of the result parses to the same. Raises InputError. No file is opened, nothing is imported."""
        try:
            words = TextColumn.checked(text).strip()
        except ValueError as error:
            raise InputError(f"{error} of the address {text[:80]!r}; write the whole character") from error
        end = POOL.search(_without_names(words))
        pool = end[1] if end else "last"
        _check_digits(pool, text)
        if not pool.isdecimal() and pool not in POOLS:
            raise InputError(f"unknown pool {pool!r} in {text!r}; expected @last, @max, @mean, @anywhere or a position such as @0")
        terms = _terms(words[: end.start()] if end else words, text)
        if len(terms) > 1 and not all(term.single for term in terms):
            raise InputError(f"a sum names one unit in each term, got {text!r}; write the sums one by one")
        return cls(terms, int(pool) if pool.isdecimal() else pool)  # pyright: ignore[reportArgumentType]

    def __str__(self) -> str:
        shown = "".join(f" {'-' if term.weight < 0 else '+'} {_term_text(term)}" for term in self.terms)
        lead = "-" if shown.startswith(" -") else ""
        return lead + shown[3:] + (f"@{self.pool}" if self.pool != "last" else "")

    @staticmethod
    def holds(weight: float) -> bool:
        """Whether float32 has a number for a weight: finite, not 0, and with all its digits."""
        return math.isfinite(weight) and SMALLEST <= abs(weight) <= LARGEST


def _without_names(text: str) -> str:
    """The text with its quoted names masked, so that their characters are not parsed as grammar."""
    return re.sub(QUOTED, lambda name: "q" * len(name[0]), text)


def _terms(words: str, address: str) -> tuple[Term, ...]:
    sign, rest = (-1, words[1:]) if words.startswith("-") else (1, words)
    terms, at = [], 0
    for join in JOIN.finditer(_without_names(rest)):
        terms.append(_term(rest[at : join.start()], sign, address))
        sign, at = (-1 if join[1] == "-" else 1), join.end()
    return (*terms, _term(rest[at:], sign, address))


def _term(text: str, sign: int, address: str) -> Term:
    match = TERM.fullmatch(f"{text}:0" if text.rpartition("*")[2].strip() == SCORE else text)  # a score has one unit
    if not match:
        raise InputError(f"malformed address {address!r}; {HELP}")
    number, site, file, units = match.groups()
    if number is not None and not Address.holds(float(number)):
        raise InputError(
            f"a weight of {number:.40} in {address!r:.200}; give a finite weight, as float32 can hold it, or leave the term out"
        )
    if POOL.search(_without_names(units)):
        raise InputError(f"a pool inside the sum {address!r}; terms are added at each position, so write one pool, at the end")
    if file is not None and file.startswith('"'):
        file = _unquoted(file, address)
    return Term(site, None if units.strip() == "*" else _units(units, address), file, sign * float(number or 1))


def _units(text: str, address: str) -> tuple[int | str | range, ...]:
    units, at = [], 0
    while at < len(text):
        match = UNITS.match(text, at)
        if not match:
            raise InputError(f"malformed units {text!r} in {address!r}; {HELP}")
        units.append(_unit(match[1].strip(), address))
        at = match.end()
    if text.rstrip().endswith(",") or "" in units:
        raise InputError(f"an empty unit in {address!r}; {HELP}")
    return tuple(units)


def _unit(text: str, address: str) -> int | str | range:
    if text.startswith('"'):
        return _unquoted(text, address)
    if re.fullmatch(r"\d+", text, re.ASCII):
        return int(_check_digits(text, address))
    if span := re.fullmatch(r"(\d+)-(\d+)", text, re.ASCII):
        first, last = (int(_check_digits(end, address)) for end in span.groups())
        if last < first:
            raise InputError(f"the range {text} in {address!r} ends before it starts; write {last}-{first}")
        return range(first, last + 1)
    return text


def _check_digits(number: str, address: str) -> str:
    """A number of a size that an index can have."""
    if number.isdecimal() and len(number) > DIGITS:
        raise InputError(f"a number of {len(number)} digits in {address[:80]!r}; an index or a position has at most {DIGITS} digits")
    return number


def _unquoted(text: str, address: str) -> str:
    try:
        name = json.loads(text)
        name.encode()
    except UnicodeEncodeError as error:
        raise InputError(f"the name {text} in {address!r} holds half a character; write the whole character") from error
    except json.JSONDecodeError as error:
        raise InputError(f"badly quoted name {text} in {address!r}; write it as a JSON string") from error
    return name


def _term_text(term: Term) -> str:
    """The term without its sign."""
    number = repr(abs(term.weight)).removesuffix(".0")
    file = "" if term.file is None else (term.file if PLAIN_FILE.fullmatch(term.file) else _quoted(term.file)) + "#"
    units = "*" if term.units is None else ",".join(map(_unit_text, term.units))
    return f"{'' if number == '1' else number + '*'}{term.site}:{file}{units}"


def _unit_text(unit: int | str | range) -> str:
    match unit:
        case range():
            return f"{unit.start}-{unit.stop - 1}"
        case int():
            return str(unit)
        case str():
            plain = PLAIN_UNIT.fullmatch(unit)
            return unit if plain and not unit.isdigit() and unit == unit.strip() and unit else _quoted(unit)


def _quoted(name: str) -> str:
    return json.dumps(name, ensure_ascii=not name.isprintable())
