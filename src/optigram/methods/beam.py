"""Beam search: it passes over the positions from left to right and keeps the best texts of all swaps at each (the beams of
HotFlip, Ebrahimi et al. 2018, and of universal triggers, Wallace et al. 2019)."""

import dataclasses
from dataclasses import dataclass, field

from optigram.methods.moves import initial_texts, swap_words, top_words
from optigram.methods.settings import check_settings
from optigram.objective.objective import Objective
from optigram.objective.rng import Streams
from optigram.optimize.method import Ids, Proposal, Proposals
from optigram.optimize.topk import TopK

BLOCK = 4096  # texts that the targets of a batch have scored at once


@dataclass(frozen=True)
class Beam:
    """`width` texts per target; at each position in turn each is tried with `candidates` other words, and the best survive.

    The candidates are the words that the gradient ranks highest. Words to the right of the position are those of the
    current text, so every scored text is complete. After `sweeps` over all positions the search restarts from random texts.
    """

    width: int = 8
    candidates: int = 64
    sweeps: int = 2
    block: int = field(default=BLOCK, repr=False)

    patience = None
    ends = False

    def __post_init__(self) -> None:
        check_settings(self, width=1, candidates=1, sweeps=1, block=1)

    @property
    def batch(self) -> int:
        return max(self.block // (self.width * self.candidates), 1)

    def cost(self, budget: float) -> float:
        return budget

    def with_block(self, texts: int) -> "Beam":
        return dataclasses.replace(self, block=texts)

    def probe(self) -> "Beam":
        return self

    def propose(self, objective: Objective, seed: int, start: Ids | None = None) -> Proposals:
        """The first texts, then the swaps at one position after the other, again and again."""
        streams = Streams(seed, [target.key for target in objective.targets], self.width, objective.device)
        while True:
            texts = initial_texts(objective, streams, start)
            living = TopK.of(texts, (yield Proposal(texts)).value, self.width)
            for place in list(range(objective.length)) * self.sweeps:
                known = living.ids.to(objective.device)
                texts = known.where(known >= 0, texts)  # where fewer are known, those that were there before
                slope = objective.gradient(texts, [place])[:, :, 0]
                words = top_words(objective, slope, texts, place, self.candidates)
                children = swap_words(texts, place, words).flatten(1, 2)
                scores = (yield Proposal(children)).value
                living = living.merge(TopK.of(children, scores, self.width))
            start = None
