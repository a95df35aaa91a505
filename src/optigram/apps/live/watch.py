"""A method that is watched: it proposes what it would anyway, and tells of every proposal once it has been judged.

Where a budget ends the search, the last proposal is not told back to any method, and so is not told of here.
"""

from collections.abc import Callable
from dataclasses import dataclass

from optigram.methods import Method, Proposal, Proposals
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
    def ends(self) -> bool:
        """The method's own."""
        return self.method.ends

    @property
    def batch(self) -> int | None:
        """The method's own."""
        return self.method.batch

    def cost(self, budget: float) -> float:
        """The method's own."""
        return self.method.cost(budget)

    def with_block(self, texts: int) -> "Watched":
        """The watched method with other batches."""
        return Watched(self.method.with_block(texts), self.tell)

    def probe(self) -> "Watched":
        """The watched probe."""
        return Watched(self.method.probe(), self.tell)

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
