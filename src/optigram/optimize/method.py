"""Seam 3: a method proposes texts and is told their exact scores; it knows the Objective, and nothing behind it."""

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from torch import Tensor

from optigram.objective.objective import Objective
from optigram.objective.scores import Scores
from optigram.shapes import Int


@dataclass(frozen=True)
class Proposal:
    """Texts as ids [k1 c t] (k1 is k, or 1 for texts shared by all targets).

    `notes` [k c] say what the method believes of each text. They are kept beside the score and never take its place.
    """

    ids: Int[Tensor, "k1 c t"]
    notes: Mapping[str, Tensor] = field(default_factory=dict)


Proposals = Generator[Proposal, Scores, None]


Ids = Int[Tensor, "k n t"]


@runtime_checkable
class Method(Protocol):
    """Seam 3. A frozen dataclass of settings; its repr is its identity."""

    @property
    def patience(self) -> int | None:
        """Rounds without a better text after which a target stops; None: the method ends by itself."""
        ...

    @property
    def batch_targets(self) -> int | None:
        """How many targets run as one batch, by the settings alone; None: all at once, for they judge the same texts."""
        ...

    def propose(self, objective: Objective, seed: int, start: Ids | None = None) -> Proposals:
        """Yield texts; receive their scores. `start` are texts [k n t] of the lexicon to begin from, the best first."""
        ...
