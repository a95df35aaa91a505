"""Names of methods and of chains of them: "gbl", "gbl:faithful", "crp+coordinate", "auto"."""

import dataclasses
import functools
from collections.abc import Iterable
from typing import NamedTuple

from optigram.errors import InputError, nearest
from optigram.methods import paper as presets
from optigram.methods.ascent import Ascent
from optigram.methods.combinators import Then
from optigram.methods.registry import SEARCHES, Search
from optigram.optimize.method import Method

AUTO = "auto"
UNMIXED = (*presets.UNMIXED, "pez", "sgbl")  # they have no weights for all words, or these are no mixtures
WITH_CORPUS, WITHOUT = "crp+coordinate", "coordinate"  # what auto stands for
JOIN = "+"
NAMES = (*presets.LABELS, *SEARCHES, AUTO)


class Chain(NamedTuple):
    """A name taken apart: whether it begins with corpus search, and the methods that follow on it."""

    corpus: bool
    links: tuple[str, ...]


def check(names: Iterable[str]) -> None:
    """Raises InputError for the first name that is unknown or cannot be joined."""
    for name in names:
        parse(name)


def parse(name: str, corpus: bool = True) -> Chain:
    """Read a name; `corpus` tells whether there is one, for `auto`. Raises InputError for what is unknown or cannot be joined."""
    links = expand(name, corpus).split(JOIN)
    for link in links:
        _check(link, name)
    begins = links[0] == presets.CORPUS
    rest = links[1:] if begins else links
    if presets.CORPUS in rest:
        raise InputError(f"corpus search reads its whole corpus whatever was found before; put it first in {name!r}")
    endless = [link for link in rest[:-1] if link in SEARCHES and not isinstance(SEARCHES[link](presets.BUDGET, False), Ascent)]
    if endless:
        raise InputError(f"{endless[0]} goes on until the budget ends, so nothing can follow it; put it last in {name!r}")
    return Chain(begins, tuple(rest))


def expand(name: str, corpus: bool) -> str:
    """The name itself, or what `auto` stands for."""
    return name if name != AUTO else WITH_CORPUS if corpus else WITHOUT


def method(chain: Chain, budget: float, attends: bool = False, block: int | None = None) -> Method:
    """The methods of a chain after its corpus search, the budget shared out evenly; `block` texts make a batch, if it is given.

    `attends` tells whether the words of the model attend to each other.
    """
    share = budget / len(chain.links)
    built = [_link(link, share, attends) for link in chain.links]
    if block is not None:
        built = [dataclasses.replace(one, block=block) for one in built]
    return functools.reduce(Then, built)


def _link(name: str, budget: float, attends: bool) -> Search:
    return SEARCHES[name](budget, attends) if name in SEARCHES else presets.named(name, budget)


def _check(link: str, name: str) -> None:
    label = link.partition(":")[0]
    if label == AUTO and link != name:
        raise InputError(f"{AUTO} is a chain itself; leave it out of {name!r}")
    if label not in NAMES:
        raise InputError(
            f"unknown method {label!r}{nearest(label, NAMES)}; expected one of {', '.join(NAMES)}, or several joined by {JOIN}"
        )
    if label in presets.LABELS:
        presets.parse(link)
    elif link != label:
        raise InputError(f"{label} has no variants; expected {label}, got {link!r}")
