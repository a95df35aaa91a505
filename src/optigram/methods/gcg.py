"""GCG, greedy coordinate gradient (Zou et al. 2023): single words are exchanged at any position for some of those that the
gradient names, and the best exchange is kept. With the few candidates that tuned runs favour (Claudini 2026, table of
tuned settings) and the gradient's running mean (MAC, Zhang & Wei 2024)."""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from optigram.methods.moves import initial_texts
from optigram.objective.objective import Objective
from optigram.objective.rng import Streams
from optigram.optimize.method import Ids, Proposal, Proposals
from optigram.shapes import Float, Int

ROUND = 2048  # texts that the targets of a batch have judged at once


@dataclass(frozen=True)
class Gcg:
    """`chains` texts a target, `candidates` exchanges of each a round, drawn from the `among` best words of every position.

    `momentum` is the share of the old gradient in the new mean. An exchange is tried once as long as a text stays the same,
    and made only where it is an improvement.
    """

    chains: int = 1
    candidates: int = 44
    among: int = 200
    momentum: float = 0.5
    block: int = field(default=ROUND, repr=False)

    patience = None

    @property
    def batch_targets(self) -> int:
        """Targets in a batch."""
        return max(self.block // (self.chains * self.candidates), 1)

    def propose(self, objective: Objective, seed: int, start: Ids | None = None) -> Proposals:
        """The first texts, then the exchanges of every round."""
        streams = Streams(seed, [str(target) for target in objective.targets], self.chains, objective.device)
        texts = initial_texts(objective, streams, start)
        values = (yield Proposal(texts)).value
        mean = torch.zeros(*texts.shape, len(objective.lexicon), device=texts.device)
        tried = texts[..., None] == objective.lexicon
        while True:
            mean.mul_(self.momentum).add_(objective.gradient(texts), alpha=1 - self.momentum)
            children, exchanged = self._children(texts, mean, tried, streams, objective)
            scores = (yield Proposal(children.flatten(1, 2))).value.unflatten(1, children.shape[1:3])
            tried.flatten(2).scatter_(2, exchanged, True)
            best, which = scores.max(dim=2)
            better = best > values
            chosen = children.gather(2, which[..., None, None].expand(-1, -1, 1, children.shape[3]))[:, :, 0]
            texts = torch.where(better[..., None], chosen, texts)
            values = torch.where(better, best, values)
            tried = torch.where(better[..., None, None], texts[..., None] == objective.lexicon, tried)

    def _children(
        self, texts: Int[Tensor, "k c t"], mean: Float[Tensor, "k c t v"], tried: Tensor, streams: Streams, objective: Objective
    ) -> tuple[Int[Tensor, "k c m t"], Int[Tensor, "k c m"]]:
        """Texts with one word exchanged, and the numbers of the exchanges, position * v + word."""
        k, c, t, v = mean.shape
        words = mean.masked_fill(tried, -torch.inf).topk(min(self.among, v), dim=-1).indices
        m = min(self.candidates, t * words.shape[-1])
        drawn = streams.uniform(t * words.shape[-1]).topk(m, dim=-1).indices
        place, word = drawn // words.shape[-1], words.flatten(2).gather(2, drawn)
        children = texts[:, :, None].expand(k, c, m, t).scatter(3, place[..., None], objective.lexicon[word][..., None])
        return children, place * v + word
