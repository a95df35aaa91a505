"""crp, corpus search: every n-gram of a corpus, each scored by itself (paper, section 4; code section 4.1)."""

import dataclasses
from dataclasses import dataclass, field

import numpy as np
import torch

from optigram.methods.settings import check_settings
from optigram.objective.objective import Objective
from optigram.optimize.method import Ids, Proposal, Proposals

PROBED = 4096  # texts of a probe


@dataclass(frozen=True)
class Corpus:
    """All `texts` [c t], in any order: their exact maximum for every target, in one pass. `source` names the corpus."""

    source: str
    texts: np.ndarray = field(repr=False, compare=False)
    chunk: int = 1 << 13

    patience = None
    ends = True
    batch = None

    def __post_init__(self) -> None:
        check_settings(self, chunk=1)

    def cost(self, budget: float) -> float:
        """One forward per text, whatever the budget; shared prefixes make it cheaper."""
        return float(len(self.texts))

    def with_block(self, texts: int) -> "Corpus":
        return self

    def probe(self) -> "Corpus":
        return dataclasses.replace(self, texts=self.texts[:PROBED])

    def propose(self, objective: Objective, seed: int, start: Ids | None = None) -> Proposals:
        """The texts in chunks; it uses neither the scores nor a start."""
        for texts in torch.from_numpy(self.texts).split(self.chunk):
            yield Proposal(texts[None])
