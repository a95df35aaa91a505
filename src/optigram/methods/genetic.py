"""Genetic search: texts are crossed and mutated, the fittest live on; it needs no gradient."""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from optigram.methods.moves import initial_texts
from optigram.objective.objective import Objective
from optigram.objective.rng import Streams
from optigram.optimize.method import Ids, Proposal, Proposals
from optigram.optimize.topk import TopK
from optigram.shapes import Int

ROUND = 2048  # texts that the targets of a batch have judged at once


@dataclass(frozen=True)
class Genetic:
    """`population` texts of a target have as many children a round; of parents and children the best, all different, live on.

    A parent is the better of two that are drawn. A word comes from either parent with the same chance, and is exchanged for
    one drawn from the lexicon with the chance `mutations` / length.
    """

    population: int = 48
    mutations: float = 1.5
    block: int = field(default=ROUND, repr=False)

    patience = None

    @property
    def batch_targets(self) -> int:
        """Targets in a batch."""
        return max(self.block // self.population, 1)

    def propose(self, objective: Objective, seed: int, start: Ids | None = None) -> Proposals:
        """The first population, then the children of every round."""
        streams = Streams(seed, [str(target) for target in objective.targets], self.population, objective.device)
        texts = initial_texts(objective, streams, start)
        living = TopK.of(texts, (yield Proposal(texts)).value, self.population)
        while True:
            children = self._children(living.ids, streams, objective)
            born = TopK.of(children, (yield Proposal(children)).value, self.population)
            living = living.merge(born)

    def _children(self, living: Int[Tensor, "k n t"], streams: Streams, objective: Objective) -> Int[Tensor, "k n t"]:
        drawn = streams.integers(self.population, 2, 2).amin(-1)  # the shelf is sorted: the smaller number is the fitter
        mother, father = (living.gather(1, drawn[..., i, None].expand_as(living)) for i in range(2))
        chance = streams.uniform(2, objective.length)
        child = torch.where(chance[:, :, 0] < 0.5, mother, father)
        mutant = objective.lexicon[streams.integers(len(objective.lexicon), objective.length)]
        return torch.where((chance[:, :, 1] < self.mutations / objective.length) | (child < 0), mutant, child)
