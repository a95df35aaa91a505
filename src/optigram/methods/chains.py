"""Names of chains of methods: "gbl", "crp+coordinate", "gbl:faithful+my_package.MyMethod", "auto"."""

import dataclasses
import functools
from typing import Any, NamedTuple

from optigram.errors import InputError, nearest
from optigram.methods import paper as presets
from optigram.methods import registry
from optigram.methods.combinators import Then
from optigram.methods.registry import AUTO, JOIN
from optigram.optimize.method import Method, check_method

WITH_CORPUS, WITHOUT = "crp+coordinate", "coordinate"  # what auto stands for
NAMES = (*registry.KNOWN, AUTO)


class Chain(NamedTuple):
    """A parsed name: whether the chain begins with corpus search, and the methods that follow, as names or objects.

    `name` is what records call it: the name as given; for an object its class and the settings that are not the defaults.
    """

    name: str
    corpus: bool
    links: tuple[str | Method, ...]

    @property
    def expanded(self) -> str:
        """The names of all links, joined: what `auto` stands for."""
        return JOIN.join([presets.CORPUS] * self.corpus + [link if isinstance(link, str) else self.name for link in self.links])

    def method(self, budget: float, attends: bool = False, block: int | None = None) -> Method:
        """The methods after the corpus search, with equal shares of the budget; `block` sets the texts per batch.

        `attends`: whether the tokens of the model attend to each other.
        """
        share = budget / len(self.links)
        built = functools.reduce(Then, [registry.build(link, share, attends) if isinstance(link, str) else link for link in self.links])
        return built if block is None else built.with_block(block)

    @classmethod
    def parse(cls, by: str | Method, corpus: bool = True) -> "Chain":
        """Read a name, or take a Method object as it is; `corpus`: whether there is one, for `auto`.

        Raises InputError for a name that is unknown or cannot be joined, and for an object that is no method.
        """
        if not isinstance(by, str):
            check_method(by)
            return cls(_label(by), False, (by,))
        links = (by if by != AUTO else WITH_CORPUS if corpus else WITHOUT).split(JOIN)
        for link in links:
            _check(link, by)
        begins = links[0] == presets.CORPUS
        rest = links[1:] if begins else links
        if presets.CORPUS in rest:
            raise InputError(f"corpus search reads its whole corpus whatever was found before; put it first in {by!r}")
        endless = [link for link in rest[:-1] if not registry.build(link).ends]
        if endless:
            raise InputError(f"{endless[0]} runs until the budget ends, so nothing can follow it; put it last in {by!r}")
        return cls(by, begins, tuple(rest))


def method_named(by: str | Method, budget: float = presets.BUDGET, attends: bool = False, block: int | None = None) -> Method:
    """The method of a name, a chain of names or an import path; a Method object stays as it is. `auto` has no corpus here."""
    chain = Chain.parse(by, corpus=False)
    if chain.corpus:
        raise InputError(f"{by!r} begins with a corpus search, which needs a corpus; use Then(Corpus(source, texts), ...)")
    return chain.method(budget, attends, block)


def _label(by: Method) -> str:
    fields: tuple[Any, ...] = dataclasses.fields(by) if dataclasses.is_dataclass(by) else ()
    given = [f"{one.name}={getattr(by, one.name)!r}" for one in fields if one.repr and getattr(by, one.name) != one.default]
    return f"{type(by).__name__}({', '.join(given)})" if given else type(by).__name__


def _check(link: str, name: str) -> None:
    head = link.partition(":")[0]
    if head == AUTO and link != name:
        raise InputError(f"{AUTO} is a chain itself; leave it out of {name!r}")
    if head == presets.CORPUS:
        if link != head:
            raise InputError(f"{head} has no variants; expected {head}, got {link!r}")
    elif head in NAMES or registry.imports(link):
        registry.build(link)
    else:
        raise InputError(
            f"unknown method {head!r}{nearest(head, NAMES)}; expected one of {', '.join(NAMES)}, several joined by {JOIN}, "
            "or an import path such as my_package.module.MyMethod"
        )
