"""Random search: the control that every other method must beat."""

import dataclasses
from dataclasses import dataclass, field

from optigram.methods.moves import propose_start
from optigram.methods.settings import check_settings
from optigram.objective.objective import Objective
from optigram.objective.rng import Streams
from optigram.optimize.method import Ids, Proposal, Proposals

BLOCK = 2048  # texts that the targets of a batch have scored at once


@dataclass(frozen=True)
class Random:
    """`texts` per round, every word drawn uniformly from the lexicon. It does not end by itself."""

    texts: int = 64
    block: int = field(default=BLOCK, repr=False)

    patience = None
    ends = False

    def __post_init__(self) -> None:
        check_settings(self, texts=1, block=1)

    @property
    def batch(self) -> int:
        return max(self.block // self.texts, 1)

    def cost(self, budget: float) -> float:
        return budget

    def with_block(self, texts: int) -> "Random":
        return dataclasses.replace(self, block=texts)

    def probe(self) -> "Random":
        return self

    def propose(self, objective: Objective, seed: int, start: Ids | None = None) -> Proposals:
        """Those of `start`, then random texts, whatever their scores."""
        streams = Streams(seed, [target.key for target in objective.targets], 1, objective.device)
        if start is not None:
            yield propose_start(objective, start)
        while True:
            drawn = streams.integers(len(objective.lexicon), self.texts, objective.length)
            yield Proposal(objective.lexicon[drawn[:, 0]])
