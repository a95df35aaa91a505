"""Combinators: one method after another, one method several times, and one method that is watched."""

import dataclasses
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from optigram.errors import InputError
from optigram.methods.settings import check_settings
from optigram.objective.objective import Objective
from optigram.objective.scores import Scores
from optigram.optimize.method import Ids, Method, Proposal, Proposals, check_method
from optigram.optimize.topk import TopK

Tell = Callable[[int, Proposal, Scores], None]  # round, counted from 0; a KeyboardInterrupt raised in it ends the search

Wrapped = TypeVar("Wrapped", bound="_Around")

HANDOVER = 16  # texts of the first method from which the second may begin


@dataclass(frozen=True)
class Then:
    """`first`, until it ends or has had `rounds` proposals scored; then `second`, from the best texts of the first and of the start."""

    first: Method
    second: Method
    rounds: int | None = None

    def __post_init__(self) -> None:
        check_method(self.first)
        check_method(self.second)
        if self.rounds is not None:
            check_settings(self, rounds=1)
        elif not self.first.ends:
            raise InputError(f"expected a first method that ends by itself, got {self.first}; give Then(..., rounds=N)")

    @property
    def patience(self) -> int | None:
        return self.second.patience

    @property
    def ends(self) -> bool:
        return self.second.ends

    @property
    def batch(self) -> int | None:
        """The smaller of the two."""
        sizes = [size for size in (self.first.batch, self.second.batch) if size is not None]
        return min(sizes, default=None)

    def cost(self, budget: float) -> float:
        return min(budget, self.first.cost(budget) + self.second.cost(budget))

    def with_block(self, texts: int) -> "Then":
        return dataclasses.replace(self, first=self.first.with_block(texts), second=self.second.with_block(texts))

    def probe(self) -> "Then":
        return dataclasses.replace(self, first=self.first.probe(), second=self.second.probe())

    def propose(self, objective: Objective, seed: int, start: Ids | None = None) -> Proposals:
        """The proposals of the first, then those of the second."""
        best = TopK.empty(len(objective.targets), HANDOVER, objective.length)
        proposals, scores = self.first.propose(objective, seed, start), None
        for _ in itertools.count() if self.rounds is None else range(self.rounds):
            try:
                proposal = next(proposals) if scores is None else proposals.send(scores)
            except StopIteration:
                break
            scores = yield proposal
            best = best.merge(TopK.of(proposal.ids, scores.value, HANDOVER))
        proposals.close()
        yield from self.second.propose(objective, seed, best.ids)


@dataclass(frozen=True)
class _Around:
    """What a method has of another `method` that it stands around."""

    method: Method

    @property
    def patience(self) -> int | None:
        return self.method.patience

    @property
    def ends(self) -> bool:
        return self.method.ends

    @property
    def batch(self) -> int | None:
        return self.method.batch

    def cost(self, budget: float) -> float:
        return self.method.cost(budget)

    def with_block(self: Wrapped, texts: int) -> Wrapped:
        return dataclasses.replace(self, method=self.method.with_block(texts))

    def probe(self: Wrapped) -> Wrapped:
        return dataclasses.replace(self, method=self.method.probe())


@dataclass(frozen=True)
class Repeat(_Around):
    """`method`, `times` times from the same start, each time with random numbers of its own."""

    times: int

    def __post_init__(self) -> None:
        check_method(self.method)
        check_settings(self, times=1)
        if self.times > 1 and not self.method.ends:
            raise InputError(f"expected a method that ends by itself, got {self.method}; it cannot be repeated")

    def cost(self, budget: float) -> float:
        return min(budget, self.times * self.method.cost(budget))

    def propose(self, objective: Objective, seed: int, start: Ids | None = None) -> Proposals:
        """The proposals of each run, one after the other."""
        for own in np.random.SeedSequence(seed).generate_state(self.times):
            yield from self.method.propose(objective, int(own), start)


@dataclass(frozen=True)
class Watched(_Around):
    """`method`, where `tell` is called with each proposal once it is scored.

    If the budget ends the search after a proposal, its scores reach no method, and `tell` neither.
    """

    tell: Tell

    def propose(self, objective: Objective, seed: int, start: Ids | None = None) -> Proposals:
        """The method's proposals."""
        proposals = self.method.propose(objective, seed, start)
        proposal, number = next(proposals), 0
        try:
            while True:
                scores = yield proposal
                self.tell(number, proposal, scores)
                proposal, number = proposals.send(scores), number + 1
        except StopIteration:
            return
        finally:
            proposals.close()
