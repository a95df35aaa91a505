"""Moves that several methods share: initial texts, the words that a gradient ranks highest, word swaps."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from optigram.objective.objective import Objective
from optigram.objective.rng import Streams
from optigram.optimize.method import Ids, Proposal
from optigram.shapes import Float, Int

WORDS = 16  # words drawn for a position, where texts must survive re-tokenization
RANKED = 1 << 24  # numbers for words that are held while they are ranked, or those of one text of each target
SPARE = 2  # with constraints, the factor by which more words are ranked than scored, since some may not be allowed


def initial_texts(objective: Objective, streams: Streams, start: Ids | None) -> Int[Tensor, "k c t"]:
    """The first texts, one per stream: those of `start`, then random ones, which survive re-tokenization where texts must."""
    lexicon, tries = objective.lexicon, WORDS if objective.must_survive else 1
    ids = objective.surviving(lexicon[streams.integers(len(lexicon), objective.length, tries)])
    if start is None:
        return ids
    given = torch.full_like(ids, -1)
    n = min(ids.shape[1], start.shape[1])
    given[:, :n] = start[:, :n].to(ids.device)
    return torch.where(given < 0, ids, given)


def propose_start(objective: Objective, start: Ids) -> Proposal:
    """The texts of `start` as a proposal, so that the result is never worse than they are; the first one fills empty slots."""
    texts = torch.where(start < 0, start[:, :1], start).to(objective.device)
    return Proposal(torch.where(texts < 0, objective.lexicon[0], texts))


def top_words(
    objective: Objective,
    slope: Float[Tensor, "k c v"],
    texts: Int[Tensor, "k c t"],
    place: int,
    count: int,
    window: Int[Tensor, "k c"] | None = None,
    deepest: int = 0,
) -> Int[Tensor, "k c m"]:
    """The `count` words (or as many as there are) that a gradient [k c v] ranks highest at one position, without the text's own.

    A `window` w > 0 skips w times `count` words of the ranking, at most up to its last words; `deepest` is the largest of them. If the
    objective has constraints, words that would make a text not allowed come last, so that no forward is wasted on them.
    """
    slope = slope.masked_fill(texts[..., place, None] == objective.lexicon, -torch.inf)
    most = max(slope.shape[-1] - 1, 1)
    count = min(count, most)
    wide = min(count * (SPARE if objective.has_constraints else 1), most)
    first = (torch.zeros_like(texts[..., 0]) if window is None else window * wide).clamp(max=most - wide)
    found, within = None, first[..., None] + torch.arange(wide, device=first.device)
    for level in range(
        deepest.bit_length() + 1
    ):  # equal slopes come in an order that depends on how many are asked for: own for each window
        size = min(wide << level, most)
        ranked = slope.topk(size, dim=-1).indices.gather(-1, within.clamp(max=size - 1))
        found = ranked if found is None or window is None else torch.where((window >= 1 << (level - 1))[..., None], ranked, found)
    words = objective.lexicon[found]
    if not objective.has_constraints:
        return words
    allowed = objective.is_allowed(swap_words(texts, place, words).flatten(1, 2)).view(words.shape)
    return words.gather(-1, (~allowed).long().argsort(dim=-1, stable=True)[..., :count])


def swap_words(texts: Int[Tensor, "k c t"], place: int, words: Int[Tensor, "k c m"]) -> Int[Tensor, "k c m t"]:
    """Each text with each of its `words` at one position."""
    children = texts[:, :, None].repeat(1, 1, words.shape[2], 1)
    children[..., place] = words
    return children


def standardised(slope: Float[Tensor, "... v"]) -> Float[Tensor, "... v"]:
    """A gradient less its mean over the words, in units of its deviation, so that several can be added; 0 where all words are equal."""
    centred = slope - slope.mean(-1, keepdim=True)
    return centred / centred.square().mean(-1, keepdim=True).sqrt().clamp(min=torch.finfo(slope.dtype).tiny)


class Words(NamedTuple):
    """Words for every position of every text [k s t m], as ids, and the cumulative probabilities with which they are drawn."""

    ids: Int[Tensor, "k s t m"]
    upto: Float[Tensor, "k s t m"]

    @classmethod
    def liked(cls, objective: Objective, texts: Int[Tensor, "k s t"], penalties: Float[Tensor, " s"], most: int) -> "Words":
        """Those that each slot's gradient ranks highest at the slot's penalty, equally likely, without the current words."""
        found, words = [], len(objective.lexicon)
        for some in _slots_at_once(texts, words):
            slopes = objective.gradient(texts[:, some], penalty=penalties[some].expand(len(texts), -1))
            slopes = slopes.masked_fill(texts[:, some, :, None] == objective.lexicon, -torch.inf)
            found.append(slopes.topk(min(most, max(words - 1, 1)), dim=-1).indices)
        best = torch.cat(found, dim=1)
        return cls(objective.lexicon[best], torch.ones_like(best, dtype=torch.float32).cumsum(-1) / best.shape[-1])

    @classmethod
    def expected(cls, objective: Objective, texts: Int[Tensor, "k s t"], most: int) -> "Words":
        """Those most likely after the words before, with the probabilities of the language model."""
        words = len(objective.lexicon)
        parts = [objective.expected(texts[:, some]).topk(min(most, words), dim=-1) for some in _slots_at_once(texts, words)]
        values, indices = (torch.cat(part, dim=1) for part in zip(*parts, strict=True))
        return cls(objective.lexicon[indices], values.softmax(-1).cumsum(-1))

    def drawn(self, place: Int[Tensor, "k s m"], chance: Float[Tensor, "k s m"]) -> Int[Tensor, "k s m"]:
        """A word for each position, by a number from 0 to 1."""
        rows = place[..., None].expand(*place.shape, self.ids.shape[3])
        ids, upto = self.ids.gather(2, rows), self.upto.gather(2, rows).contiguous()
        which = torch.searchsorted(upto, chance[..., None].contiguous(), right=True).clamp(max=ids.shape[3] - 1)
        return ids.gather(3, which)[..., 0]

    @classmethod
    def sampled(cls, objective: Objective, streams: Streams, texts: Int[Tensor, "k s t"], most: int) -> Int[Tensor, "k s t"]:
        """Texts that the language model samples word by word, each among its `most` likely words; `texts` where these are not allowed."""
        sampled = texts.clone()
        for place in range(objective.length):
            said = cls.expected(objective, sampled, most)
            sampled[..., place] = said.drawn(torch.full_like(texts[..., :1], place), streams.uniform(1))[..., 0]
        return torch.where(objective.is_allowed(sampled)[..., None], sampled, texts) if objective.has_constraints else sampled


def _slots_at_once(texts: Int[Tensor, "k s t"], words: int) -> Iterator[slice]:
    """The slots whose words are ranked together, so that few numbers for words are held."""
    targets, slots, length = texts.shape
    size = max(RANKED // (targets * length * words), 1)
    yield from (slice(begin, begin + size) for begin in range(0, slots, size))
