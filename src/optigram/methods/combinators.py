"""Wrappers: one method after another, and one method several times."""

import itertools
from dataclasses import dataclass

import numpy as np

from optigram.objective.objective import Objective
from optigram.optimize.method import Ids, Method, Proposals
from optigram.optimize.topk import TopK

HANDOVER = 16  # texts of the first method from which the second may begin


@dataclass(frozen=True)
class Then:
    """`first`, until it ends or has had `rounds` proposals judged, and then `second`, from the best texts of the first and of the start."""

    first: Method
    second: Method
    rounds: int | None = None

    @property
    def patience(self) -> int | None:
        """The second's."""
        return self.second.patience

    @property
    def batch_targets(self) -> int | None:
        """As many targets as both can carry."""
        sizes = [size for size in (self.first.batch_targets, self.second.batch_targets) if size is not None]
        return min(sizes, default=None)

    def propose(self, objective: Objective, seed: int, start: Ids | None = None) -> Proposals:
        """The proposals of one, then those of the other."""
        best = TopK.empty(len(objective.targets), HANDOVER, objective.length)
        proposals, scores = self.first.propose(objective, seed, start), None
        for _ in itertools.count() if self.rounds is None else range(self.rounds):
            try:
                proposal = next(proposals) if scores is None else proposals.send(scores)
            except StopIteration:
                break
            scores = yield proposal
            best = best.merge(TopK.of(proposal.ids.cpu(), scores.value.cpu(), HANDOVER))
        proposals.close()
        yield from self.second.propose(objective, seed, best.ids)


@dataclass(frozen=True)
class Repeat:
    """`method` so many `times`, from the same start, each with random numbers of its own."""

    method: Method
    times: int

    @property
    def patience(self) -> int | None:
        """The method's."""
        return self.method.patience

    @property
    def batch_targets(self) -> int | None:
        """The method's."""
        return self.method.batch_targets

    def propose(self, objective: Objective, seed: int, start: Ids | None = None) -> Proposals:
        """The proposals of every time, one after the other."""
        for own in np.random.SeedSequence(seed).generate_state(self.times):
            yield from self.method.propose(objective, int(own), start)
