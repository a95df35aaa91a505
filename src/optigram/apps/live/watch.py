"""A method that is watched: it proposes what it would anyway, and tells of every proposal once it has been judged.

Where a budget ends the search, the last proposal is not told back to any method, and so is not told of here.
"""

from collections.abc import Callable
from dataclasses import dataclass

from optigram.methods import Ascent, Method, Proposal, Proposals
from optigram.methods.relaxations import Gumbel
from optigram.objective.objective import Objective
from optigram.objective.scores import Scores
from optigram.optimize.method import Ids

Tell = Callable[[int, Proposal, Scores], None]  # round, counted from 0; a KeyboardInterrupt raised in it ends the search


@dataclass(frozen=True)
class Watched:
    """`method`, with `tell` beside it."""

    method: Method
    tell: Tell

    @property
    def patience(self) -> int | None:
        """The method's own."""
        return self.method.patience

    @property
    def batch_targets(self) -> int | None:
        """The method's own."""
        return self.method.batch_targets

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


def temperature(method: Method | None, number: int) -> float | None:
    """The temperature of a method's round; None for a method that has none."""
    if not isinstance(method, Ascent) or not isinstance(method.relaxation, Gumbel):
        return None
    return method.relaxation.temperature(min(number * method.every, method.steps))
