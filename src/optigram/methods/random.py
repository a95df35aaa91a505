"""Random search: the control that every other method must beat."""

from dataclasses import dataclass, field

from optigram.methods.moves import propose_start
from optigram.objective.objective import Objective
from optigram.objective.rng import Streams
from optigram.optimize.method import Ids, Proposal, Proposals

ROUND = 2048  # texts that the targets of a batch have judged at once


@dataclass(frozen=True)
class Random:
    """`texts` at a time, every word drawn from the lexicon with the same chance, without an end."""

    texts: int = 64
    block: int = field(default=ROUND, repr=False)

    patience = None

    @property
    def batch_targets(self) -> int:
        """Targets in a batch."""
        return max(self.block // self.texts, 1)

    def propose(self, objective: Objective, seed: int, start: Ids | None = None) -> Proposals:
        """Texts that depend on nothing but the seed; those of `start` first."""
        streams = Streams(seed, [str(target) for target in objective.targets], 1, objective.device)
        if start is not None:
            yield propose_start(objective, start)
        while True:
            drawn = streams.integers(len(objective.lexicon), self.texts, objective.length)
            yield Proposal(objective.lexicon[drawn[:, 0]])
