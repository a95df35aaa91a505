"""EPO, evolutionary prompt optimization (Thompson, Straznickas & Sklar 2024, "Fluent dreaming for language models"): a few
texts evolve side by side, each under a price of its own for a nat of surprisal, and so trace the front of both."""

from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from optigram.methods.moves import initial_texts, propose_start
from optigram.objective.objective import Objective
from optigram.objective.rng import Streams
from optigram.objective.scores import Scores
from optigram.optimize.method import Ids, Proposal, Proposals
from optigram.shapes import Float, Int

ROUND = 2048  # texts that the targets of a batch have judged at once
UNKEPT = 1e5  # how far below all others a text is that may not be kept, so that of two such the less surprising one lives on


class _Population(NamedTuple):
    """Texts [k n t] with what they are worth [k n] and their surprisal [k n]."""

    ids: Int[Tensor, "k n t"]
    penalised: Float[Tensor, "k n"]
    surprisal: Float[Tensor, "k n"]


@dataclass(frozen=True)
class Epo:
    """`slots` texts of a target with prices of a nat of 0 and from `gentlest` to `strictest`; `children` of each a round.

    A child has one word more and one less: a word is taken out anywhere and another put in there (a swap), or, for the share
    `shifted`, one of both is at an end (a text has a fixed number of words: what is inserted drops a word at an end, what
    is deleted makes room at one). The new word is one of the `among` that the slot's own gradient likes best, or, for the share
    `spoken`, drawn from what the language model expects there after the words before. A slot takes the best, at its own price,
    of all parents and children. Every `restart` rounds, but not at the first, all slots go on from the best text at one price,
    `collapse` times a random number from 1 to `stricter`.

    The published code judges the children of one slot at the price of another, restarts at once, and draws the number without
    using it. With 32 children a slot, as there, the same budget buys fewer rounds.
    """

    slots: int = 8
    children: int = 6
    among: int = 512
    gentlest: float = 0.1
    strictest: float = 10.0
    shifted: float = 0.2
    spoken: float = 0.3
    restart: int = 50
    collapse: float = 2.0
    stricter: float = 3.0
    block: int = field(default=ROUND, repr=False)

    patience = None

    @property
    def batch_targets(self) -> int:
        """Targets in a batch."""
        return max(self.block // (self.slots * self.children), 1)

    @property
    def prices(self) -> Float[Tensor, " slots"]:
        """What a nat of surprisal per token costs each slot."""
        first, last = torch.tensor([self.gentlest, self.strictest]).log10().tolist()
        return torch.cat([torch.zeros(1), torch.logspace(first, last, self.slots - 1)])

    def propose(self, objective: Objective, seed: int, start: Ids | None = None) -> Proposals:
        """The texts of the start, the first texts, then the children of every round."""
        streams = Streams(seed, [str(target) for target in objective.targets], self.slots, objective.device)
        prices = self.prices.to(objective.device)
        first = self._first(objective, streams)
        if start is not None:
            first = torch.cat([propose_start(objective, start).ids, first], dim=1)
        living = _living(first, (yield Proposal(first)))
        living = _fittest(living, prices)
        step = 0
        while True:
            if step and step % self.restart == 0:
                price = self.collapse * (1 + (self.stricter - 1) * streams.uniform()[:, :1])
                living = _fittest(living, price.expand(-1, self.slots))
            step += 1
            children = self._children(living.ids, objective, streams, prices)
            born = _living(children, (yield Proposal(children)))
            living = _fittest(_Population(*(torch.cat(pair, dim=1) for pair in zip(living, born, strict=True))), prices)

    def _first(self, objective: Objective, streams: Streams) -> Int[Tensor, "k slots t"]:
        """Texts that the language model says word by word, or random ones where it cannot."""
        texts = initial_texts(objective, streams, None)
        for place in range(objective.length) if objective.has_language_model else ():
            said = _Words.expected(objective, texts, self.among)
            texts[..., place] = said.drawn(torch.full_like(texts[..., :1], place), streams.uniform(1))[..., 0]
        return texts

    def _children(
        self, texts: Int[Tensor, "k s t"], objective: Objective, streams: Streams, prices: Float[Tensor, " s"]
    ) -> Int[Tensor, "k n t"]:
        """The children of every slot: `out` is where a word is taken out of its text, `into` where another is put in."""
        m, last = self.children, objective.length - 1
        place, chance = streams.integers(objective.length, m), streams.uniform(4, m)
        end = torch.where(chance[:, :, 1] < 0.5, 0, last)
        shifts, inserts = chance[:, :, 0] < self.shifted, chance[:, :, 2] < 0.5
        out = torch.where(shifts & inserts, end, place)
        into = torch.where(shifts & ~inserts, end, place)
        liked = _Words.liked(objective, texts, prices, self.among)
        words = liked.drawn(into, chance[:, :, 3])
        if objective.has_language_model and self.spoken:
            said = _Words.expected(objective, texts, self.among).drawn(into, chance[:, :, 3])
            words = torch.where(streams.uniform(m) < self.spoken, said, words)
        return exchanged(texts, out, into, words).flatten(1, 2)


def exchanged(
    texts: Int[Tensor, "k s t"], out: Int[Tensor, "k s m"], into: Int[Tensor, "k s m"], words: Int[Tensor, "k s m"]
) -> Int[Tensor, "k s m t"]:
    """Each text without the word at `out`, and with a new one that stands at `into` then; what is between them moves by one."""
    places = torch.arange(texts.shape[2], device=texts.device)
    out, into = out[..., None], into[..., None]
    source = places + ((places >= out) & (places < into)).long() - ((places > into) & (places <= out)).long()
    moved = texts[:, :, None].expand(*source.shape).gather(3, source)
    return torch.where(places == into, words[..., None], moved)


class _Words(NamedTuple):
    """Words for every place of every text [k s t m], as ids, and the shares with which they are drawn, summed up."""

    ids: Int[Tensor, "k s t m"]
    upto: Float[Tensor, "k s t m"]

    @classmethod
    def liked(cls, objective: Objective, texts: Int[Tensor, "k s t"], prices: Float[Tensor, " s"], most: int) -> "_Words":
        """Those that each slot's gradient likes best at the slot's price, all with the same share; not those that stand there."""
        slopes = objective.gradient(texts, penalty=prices.expand(texts.shape[:2]))
        slopes = slopes.masked_fill(texts[..., None] == objective.lexicon, -torch.inf)
        best = slopes.topk(min(most, max(slopes.shape[-1] - 1, 1)), dim=-1).indices
        return cls(objective.lexicon[best], torch.ones_like(best, dtype=torch.float32).cumsum(-1) / best.shape[-1])

    @classmethod
    def expected(cls, objective: Objective, texts: Int[Tensor, "k s t"], most: int) -> "_Words":
        """Those that the language model expects most after the words before, with its own shares."""
        best = objective.expected(texts).topk(min(most, len(objective.lexicon)), dim=-1)
        return cls(objective.lexicon[best.indices], best.values.softmax(-1).cumsum(-1))

    def drawn(self, place: Int[Tensor, "k s m"], chance: Float[Tensor, "k s m"]) -> Int[Tensor, "k s m"]:
        """A word for each place, by a number from 0 to 1."""
        rows = place[..., None].expand(*place.shape, self.ids.shape[3])
        ids, upto = self.ids.gather(2, rows), self.upto.gather(2, rows).contiguous()
        which = torch.searchsorted(upto, chance[..., None].contiguous(), right=True).clamp(max=ids.shape[3] - 1)
        return ids.gather(3, which)[..., 0]


def _living(ids: Int[Tensor, "k n t"], scores: Scores) -> _Population:
    """Texts as they were judged; without a language model nothing is surprising."""
    surprisal = torch.zeros_like(scores.value) if scores.surprisal is None else scores.surprisal.nan_to_num(nan=UNKEPT)
    return _Population(ids, scores.value.nan_to_num(nan=-torch.inf), surprisal)


def _fittest(living: _Population, prices: Float[Tensor, "*k s"]) -> _Population:
    """For each price the text that is worth most at it, of equals the first; what may not be kept comes last, the less surprising first."""
    worth = living.penalised[:, None] - prices[..., None] * living.surprisal[:, None]
    worth = torch.where(living.penalised[:, None].isneginf(), -UNKEPT - living.surprisal[:, None], worth)
    best = worth.argmax(-1)
    return _Population(
        living.ids.gather(1, best[..., None].expand(-1, -1, living.ids.shape[2])), *(part.gather(1, best) for part in living[1:])
    )
