"""GCG, greedy coordinate gradient (Zou et al. 2023): words are swapped at any position for some of those that the
gradient ranks highest, and the best swap is kept. With the few candidates that tuned runs favour (Claudini 2026, table of
tuned settings) and a running mean of the gradient (MAC, Zhang & Wei 2024)."""

import dataclasses
from collections.abc import Generator
from dataclasses import dataclass, field

import torch
from torch import Tensor

from optigram.methods.moves import WORDS, initial_texts, standardised
from optigram.methods.settings import check_settings
from optigram.objective.objective import Objective
from optigram.objective.rng import Streams
from optigram.objective.scores import Scores, SoftText
from optigram.optimize.method import Ids, Proposal, Proposals
from optigram.shapes import Bool, Float, Int

BLOCK = 2048  # texts that the targets of a batch have scored at once
RANKED = 1 << 22  # slopes along words that are held while they are ranked
REMEMBERED = 1 << 13  # swaps of a chain that are not tried again while its text stays the same


@dataclass(frozen=True)
class Gcg:
    """`chains` texts per target, `candidates` swaps of each per round, drawn from the `among` best words of every position.

    `momentum` is the weight of the old gradient in the running mean. A swap is tried once while the text stays the same, and
    made only if it improves the text. Then up to `merges` of the round's next best swaps, at other positions, are added to it one by one
    (as MC-GCG does, and I-GCG), each where the text with it is better. A chain without a better text for `stall` rounds goes on from the
    best text of its target, with `shaken` of its words swapped at random (None: it never gives up). With `relp` the gradient and RelP's,
    each standardised over the words, are added, where the model gives both.
    """

    chains: int = 1
    candidates: int = 44
    among: int = 200
    momentum: float = 0.5
    merges: int = 0
    stall: int | None = None
    shaken: int = 2
    relp: bool = False
    block: int = field(default=BLOCK, repr=False)

    patience = None
    ends = False

    def __post_init__(self) -> None:
        check_settings(self, chains=1, candidates=1, among=1, momentum=0.0, merges=0, shaken=1, block=1)
        if self.stall is not None:
            check_settings(self, stall=1)

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
        streams = Streams(seed, [target.key for target in objective.targets], self.chains, objective.device)
        texts, lexicon = initial_texts(objective, streams, start), objective.lexicon
        values = (yield Proposal(texts)).value
        ranking, stale, known = _Ranking(objective, texts, self), torch.zeros_like(values), (texts, values)
        while True:
            children, swaps = self._children(texts, ranking.words(texts), streams, objective)
            scores = (yield Proposal(children.flatten(1, 2))).value.unflatten(1, children.shape[1:3])
            new, reached = yield from self._merged(texts, values, swaps // len(lexicon), lexicon[swaps % len(lexicon)], scores)
            better = reached > values
            texts, values, stale = new, reached, torch.where(better, 0, stale + 1)
            ranking.note(swaps, better)
            if self.stall is not None:
                known = _best(torch.cat([known[0], texts], 1), torch.cat([known[1], values], 1))
                ended = stale >= self.stall
                texts = torch.where(ended[..., None], self._shaken(known[0].expand_as(texts), streams, objective), texts)
                values, stale = values.masked_fill(ended, -torch.inf), stale.masked_fill(ended, 0)
                ranking.forget(ended)

    def _merged(
        self,
        texts: Int[Tensor, "k c t"],
        values: Float[Tensor, "k c"],
        places: Int[Tensor, "k c m"],
        words: Int[Tensor, "k c m"],
        scores: Float[Tensor, "k c m"],
    ) -> Generator[Proposal, Scores, tuple[Int[Tensor, "k c t"], Float[Tensor, "k c"]]]:
        """The texts after the best of the swaps, and after those of the next best, at other positions, that improve them further."""
        free = scores
        for number in range(1 + min(self.merges, texts.shape[2] - 1)):
            best, which = free.max(dim=2, keepdim=True)
            place, word = places.gather(2, which), words.gather(2, which)
            merged = texts.scatter(2, place, word)
            value = best[..., 0] if number == 0 else (yield Proposal(merged)).value
            better = value > values
            texts, values = torch.where(better[..., None], merged, texts), torch.where(better, value, values)
            free = free.masked_fill(places == place, -torch.inf)
        return texts, values

    def _shaken(self, texts: Int[Tensor, "k c t"], streams: Streams, objective: Objective) -> Int[Tensor, "k c t"]:
        """Texts with some words swapped at random, for words with which they survive, where they must."""
        tries = WORDS if objective.must_survive else 1
        places = streams.uniform(texts.shape[2]).argsort(-1)[..., : self.shaken]
        words = objective.lexicon[streams.integers(len(objective.lexicon), tries, self.shaken)][..., : places.shape[2]]
        shaken = texts[:, :, None].expand(-1, -1, tries, -1).scatter(3, places[:, :, None].expand_as(words), words)
        if tries == 1:
            return shaken[:, :, 0]
        allowed = objective.is_allowed(shaken.flatten(1, 2)).view(shaken.shape[:3])
        return shaken.gather(2, allowed.long().argmax(-1)[..., None, None].expand(-1, -1, 1, texts.shape[2]))[:, :, 0]

    def _children(
        self, texts: Int[Tensor, "k c t"], words: Int[Tensor, "k c t a"], streams: Streams, objective: Objective
    ) -> tuple[Int[Tensor, "k c m t"], Int[Tensor, "k c m"]]:
        """Texts with one word swapped for one of the places in the lexicon `words`, and the numbers of the swaps, position * v + word."""
        (k, c, t, among), v = words.shape, len(objective.lexicon)
        m = min(self.candidates, t * among)
        drawn = streams.uniform(t * among).topk(m, dim=-1).indices
        place, word = drawn // among, words.flatten(2).gather(2, drawn)
        children = texts[:, :, None].expand(k, c, m, t).scatter(3, place[..., None], objective.lexicon[word][..., None])
        return children, place * v + word


class _Ranking:
    """The running mean of the gradient, and the words that it ranks highest among those that were not tried.

    The mean is one of slopes along embeddings [k c t d], and slopes along words are made of it for a part of the texts at a time:
    memory does not grow with the vocabulary. A penalty for surprisal has a slope of its own for each word: then all are kept [k c t v].
    """

    def __init__(self, objective: Objective, texts: Int[Tensor, "k c t"], method: Gcg) -> None:
        self.objective, self.momentum, self.among = objective, method.momentum, min(method.among, len(objective.lexicon))
        linearised = method.relp and objective.linearises and not objective.penalises_surprisal
        self.rules = (False, True) if linearised else (False,)
        width = len(objective.lexicon) if objective.penalises_surprisal else objective.table.shape[1]
        self.means = [torch.zeros(*texts.shape, width, device=texts.device) for _ in self.rules]
        self.tried = torch.empty(*texts.shape[:2], 0, dtype=torch.int64, device=texts.device)  # -1: none

    def words(self, texts: Int[Tensor, "k c t"]) -> Int[Tensor, "k c t a"]:
        """The places in the lexicon of the `among` words that the mean ranks highest, after the gradient at these texts was added."""
        objective, (k, c, t), v = self.objective, texts.shape, len(self.objective.lexicon)
        for mean, linearised in zip(self.means, self.rules, strict=True):
            slope = objective.gradient(texts) if objective.penalises_surprisal else objective.slopes(texts, linearised)
            mean.mul_(self.momentum).add_(slope, alpha=1 - self.momentum)
        own = objective.rows_of(texts, c).flatten()
        rows = torch.arange(k * c, device=texts.device).view(k, c, 1) * t + self.tried.clamp(min=0) // v
        tried = torch.where(self.tried < 0, -1, rows * v + self.tried % v).flatten()
        tried = torch.cat([tried, torch.where(own < 0, -1, torch.arange(len(own), device=own.device) * v + own)])
        found = []
        for some in torch.arange(k * c * t, device=texts.device).split(max(RANKED // v, 1)):
            liked = [self._per_word(mean.flatten(0, 2)[some]) for mean in self.means]
            summed = liked[0] if len(liked) == 1 else torch.stack([standardised(one) for one in liked]).sum(0)
            here = (tried >= some[0] * v) & (tried < (some[-1] + 1) * v)
            free = torch.cat([summed.flatten(), summed.new_zeros(1)])  # what is not here goes to the end
            free.scatter_(0, torch.where(here, tried - some[0] * v, len(some) * v), -torch.inf)
            found.append(free[:-1].view(len(some), v).topk(self.among, dim=-1).indices)
        return torch.cat(found).view(k, c, t, -1)

    def _per_word(self, slopes: Float[Tensor, "n w"]) -> Float[Tensor, "n v"]:
        return slopes if self.objective.penalises_surprisal else SoftText.per_word(slopes[None, None], self.objective.table)[0, 0]

    def note(self, swaps: Int[Tensor, "k c m"], changed: Bool[Tensor, "k c"]) -> None:
        """These swaps were tried; of texts that `changed` all swaps are new."""
        self.tried = torch.cat([self.tried, swaps], dim=2)[:, :, -REMEMBERED:].masked_fill(changed[..., None], -1)

    def forget(self, ended: Bool[Tensor, "k c"]) -> None:
        """These chains begin anew."""
        self.means = [mean.masked_fill(ended[..., None, None], 0) for mean in self.means]
        self.tried = self.tried.masked_fill(ended[..., None], -1)


def _best(texts: Int[Tensor, "k c t"], values: Float[Tensor, "k c"]) -> tuple[Int[Tensor, "k 1 t"], Float[Tensor, "k 1"]]:
    """The best text of each target; ties go to the first."""
    value, which = values.nan_to_num(nan=-torch.inf).max(1, keepdim=True)
    return texts.gather(1, which[..., None].expand(-1, -1, texts.shape[2])), value
