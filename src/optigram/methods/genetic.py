"""Genetic search: texts are crossed and mutated, and the fittest survive. It needs no gradient."""

import dataclasses
from dataclasses import dataclass, field

import torch
from torch import Tensor

from optigram.methods.moves import initial_texts
from optigram.methods.settings import check_settings
from optigram.objective.objective import Objective
from optigram.objective.rng import Streams
from optigram.optimize.method import Ids, Proposal, Proposals
from optigram.optimize.topk import TopK
from optigram.shapes import Int

BLOCK = 2048  # texts that the targets of a batch have scored at once


@dataclass(frozen=True)
class Genetic:
    """`population` texts per target have as many children per round; the best of both, all different, survive.

    A parent is the better of two drawn at random. Each word comes from either parent with equal probability, and mutates to a
    word drawn from the lexicon with probability `mutations` / length.
    """

    population: int = 48
    mutations: float = 1.5
    block: int = field(default=BLOCK, repr=False)

    patience = None
    ends = False

    def __post_init__(self) -> None:
        check_settings(self, population=1, mutations=0.0, block=1)

    @property
    def batch(self) -> int:
        return max(self.block // self.population, 1)

    def cost(self, budget: float) -> float:
        return budget

    def with_block(self, texts: int) -> "Genetic":
        return dataclasses.replace(self, block=texts)

    def probe(self) -> "Genetic":
        return self

    def propose(self, objective: Objective, seed: int, start: Ids | None = None) -> Proposals:
        """The first population, then the children of every round."""
        streams = Streams(seed, [target.key for target in objective.targets], self.population, objective.device)
        texts = initial_texts(objective, streams, start)
        living = TopK.of(texts, (yield Proposal(texts)).value, self.population)
        while True:
            children = self._children(living.ids.to(objective.device), streams, objective)
            born = TopK.of(children, (yield Proposal(children)).value, self.population)
            living = living.merge(born)

    def _children(self, living: Int[Tensor, "k n t"], streams: Streams, objective: Objective) -> Int[Tensor, "k n t"]:
        drawn = streams.integers(self.population, 2, 2).amin(-1)  # the population is sorted: the smaller index is the fitter text
        mother, father = (living.gather(1, drawn[..., i, None].expand_as(living)) for i in range(2))
        chance = streams.uniform(2, objective.length)
        child = torch.where(chance[:, :, 0] < 0.5, mother, father)
        mutant = objective.lexicon[streams.integers(len(objective.lexicon), objective.length)]
        return torch.where((chance[:, :, 1] < self.mutations / objective.length) | (child < 0), mutant, child)
