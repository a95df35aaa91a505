"""GCG, greedy coordinate gradient (Zou et al. 2023): words are swapped at any position for some of those that the
gradient ranks highest, and the best swap is kept. With the few candidates that tuned runs favour (Claudini 2026, table of
tuned settings) and a running mean of the gradient (MAC, Zhang & Wei 2024)."""

import dataclasses
from dataclasses import dataclass, field

import torch
from torch import Tensor

from optigram.methods.moves import initial_texts
from optigram.methods.settings import check_settings
from optigram.objective.objective import Objective
from optigram.objective.rng import Streams
from optigram.optimize.method import Ids, Proposal, Proposals
from optigram.shapes import Float, Int

BLOCK = 2048  # texts that the targets of a batch have scored at once


@dataclass(frozen=True)
class Gcg:
    """`chains` texts per target, `candidates` swaps of each per round, drawn from the `among` best words of every position.

    `momentum` is the weight of the old gradient in the running mean. A swap is tried once while the text stays the same, and
    made only if it improves the text.
    """

    chains: int = 1
    candidates: int = 44
    among: int = 200
    momentum: float = 0.5
    block: int = field(default=BLOCK, repr=False)

    patience = None
    ends = False

    def __post_init__(self) -> None:
        check_settings(self, chains=1, candidates=1, among=1, momentum=0.0, block=1)

    @property
    def batch(self) -> int:
        return max(self.block // (self.chains * self.candidates), 1)

    def cost(self, budget: float) -> float:
        return budget

    def with_block(self, texts: int) -> "Gcg":
        return dataclasses.replace(self, block=texts)

    def probe(self) -> "Gcg":
        return self

    def propose(self, objective: Objective, seed: int, start: Ids | None = None) -> Proposals:
        """The first texts, then the swaps of every round."""
        streams = Streams(seed, [str(target) for target in objective.targets], self.chains, objective.device)
        texts = initial_texts(objective, streams, start)
        values = (yield Proposal(texts)).value
        mean = torch.zeros(*texts.shape, len(objective.lexicon), device=texts.device)
        tried = texts[..., None] == objective.lexicon
        while True:
            mean.mul_(self.momentum).add_(objective.gradient(texts), alpha=1 - self.momentum)
            children, swaps = self._children(texts, mean, tried, streams, objective)
            scores = (yield Proposal(children.flatten(1, 2))).value.unflatten(1, children.shape[1:3])
            tried.flatten(2).scatter_(2, swaps, True)
            best, which = scores.max(dim=2)
            better = best > values
            chosen = children.gather(2, which[..., None, None].expand(-1, -1, 1, children.shape[3]))[:, :, 0]
            texts = torch.where(better[..., None], chosen, texts)
            values = torch.where(better, best, values)
            tried = torch.where(better[..., None, None], texts[..., None] == objective.lexicon, tried)

    def _children(
        self, texts: Int[Tensor, "k c t"], mean: Float[Tensor, "k c t v"], tried: Tensor, streams: Streams, objective: Objective
    ) -> tuple[Int[Tensor, "k c m t"], Int[Tensor, "k c m"]]:
        """Texts with one word swapped, and the indices of the swaps, position * v + word."""
        k, c, t, v = mean.shape
        words = mean.masked_fill(tried, -torch.inf).topk(min(self.among, v), dim=-1).indices
        m = min(self.candidates, t * words.shape[-1])
        drawn = streams.uniform(t * words.shape[-1]).topk(m, dim=-1).indices
        place, word = drawn // words.shape[-1], words.flatten(2).gather(2, drawn)
        children = texts[:, :, None].expand(k, c, m, t).scatter(3, place[..., None], objective.lexicon[word][..., None])
        return children, place * v + word
