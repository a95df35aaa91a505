"""Beam search: positions are gone through from left to right, and of all exchanges at one the best texts live on (the beams of
HotFlip, Ebrahimi et al. 2018, and of universal triggers, Wallace et al. 2019)."""

from dataclasses import dataclass, field

from optigram.methods.moves import initial_texts, swap_words, top_words
from optigram.objective.objective import Objective
from optigram.objective.rng import Streams
from optigram.optimize.method import Ids, Proposal, Proposals
from optigram.optimize.topk import TopK

ROUND = 4096  # texts that the targets of a batch have judged at once


@dataclass(frozen=True)
class Beam:
    """`width` texts a target; at each position in turn every one is tried with `candidates` other words, and the best live on.

    Tried are the words that the gradient likes best; the whole lexicon where it has no more than so many. Words to the right
    of the position are those of the text so far, so that whole texts are judged always. After `sweeps` over all positions
    the search begins anew from random texts.
    """

    width: int = 8
    candidates: int = 64
    sweeps: int = 2
    block: int = field(default=ROUND, repr=False)

    patience = None

    @property
    def batch_targets(self) -> int:
        """Targets in a batch."""
        return max(self.block // (self.width * self.candidates), 1)

    def propose(self, objective: Objective, seed: int, start: Ids | None = None) -> Proposals:
        """The first texts, then the exchanges at one position after the other, again and again."""
        streams = Streams(seed, [str(target) for target in objective.targets], self.width, objective.device)
        while True:
            texts = initial_texts(objective, streams, start)
            living = TopK.of(texts.cpu(), (yield Proposal(texts)).value.cpu(), self.width)
            for place in list(range(objective.length)) * self.sweeps:
                known = living.ids.to(texts.device)
                texts = known.where(known >= 0, texts)  # where fewer are known, those that stood in their places
                slope = objective.gradient(texts, [place])[:, :, 0]
                words = top_words(objective, slope, texts, place, self.candidates)
                children = swap_words(texts, place, words).flatten(1, 2)
                scores = (yield Proposal(children)).value
                living = living.merge(TopK.of(children.cpu(), scores.cpu(), self.width))
            start = None
