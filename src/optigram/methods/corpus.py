"""crp, corpus search: every unique n-gram of a corpus, each scored by itself (paper, section 4; code section 4.1)."""

from dataclasses import dataclass, field

import numpy as np
import torch

from optigram.objective.objective import Objective
from optigram.optimize.method import Ids, Proposal, Proposals


@dataclass(frozen=True)
class Corpus:
    """Proposes all texts [c t] once, for every target: the exact maximum over them. `source` says where they are from."""

    source: str
    texts: np.ndarray = field(repr=False, compare=False)
    chunk: int = 1 << 16

    patience = None
    batch_targets = None

    def propose(self, objective: Objective, seed: int, start: Ids | None = None) -> Proposals:
        """The texts in chunks, whatever they score; a start is ignored."""
        for texts in torch.from_numpy(self.texts).split(self.chunk):
            yield Proposal(texts[None])
