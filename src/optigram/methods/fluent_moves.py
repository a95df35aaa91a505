"""Coordinate ascent within an upper bound on surprisal: words are charged for their own surprisal, activations are looked at first, and
chains may pass through texts above the bound, at a price (strategic oscillation, Glover 1989)."""

import torch
from torch import Tensor

from optigram.methods.moves import standardised, swap_words
from optigram.objective.objective import Objective
from optigram.objective.scores import Scores
from optigram.shapes import Bool, Float, Int

WORD = 3.0  # price of a nat per token in the ranking of words, in deviations of the gradient; at first
TEXT = 0.3  # what a text loses per nat per token above the bound, in the largest activation of its target; at first
STEP = 1.3  # by which a price rises or falls
LIMITS = 1 / 30, 30.0  # of a price, in what it is at first
JUDGED = 4  # texts of a chain and round that are scored whole, where activations are looked at first
SHIFTED = 4  # one in so many of the words of a round is inserted too, once in place of the first word and once of the last


class Within:
    """Prices of k targets [k 1] and the texts of their c chains [k c], as the search within a bound goes on.

    `word` is the price of a word's own surprisal in the ranking; it is adapted until half of the texts scored are within the bound.
    `text` is the price of surprisal above the bound; it is adapted until half of the chains are within. Nothing above the bound is kept.
    """

    def __init__(self, objective: Objective, first: Scores) -> None:
        assert first.surprisal is not None
        self.objective = objective
        self.word, self.text = (torch.ones_like(first.activation[:, :1]) for _ in range(2))
        self.scale = first.activation.abs().amax(1, keepdim=True)
        self.activation, self.surprisal = first.activation, first.surprisal
        self.own = torch.zeros(0)

    def ranked(self, slope: Float[Tensor, "k c v"], texts: Int[Tensor, "k c t"], place: int) -> Float[Tensor, "k c v"]:
        """A gradient less the price of what each word adds to the surprisal, given the words before it."""
        self.own = self.objective.word_surprisal(texts, place)
        return standardised(slope) - WORD * self.word[..., None] * self.own

    def children(
        self, texts: Int[Tensor, "k c t"], place: int, words: Int[Tensor, "k c m"], values: Float[Tensor, "k c"]
    ) -> Int[Tensor, "k c j t"]:
        """The texts to score: those with each of `words` at a position, or the most promising of them and of those with a word inserted.

        Promising is a high activation, less the price of the surprisal that is foreseen: that of the text with the one word's exchanged.
        Where it is not above the chain's own, the first of them stands for the others, so that little is scored twice.
        """
        swapped = swap_words(texts, place, words)
        if not self.objective.activation_first:
            return swapped
        some = words[..., : max(words.shape[2] // SHIFTED, 1), None]
        kept = texts[:, :, None].expand(-1, -1, some.shape[2], -1)
        left = torch.cat([kept[..., 1 : place + 1], some, kept[..., place + 1 :]], -1)
        right = torch.cat([kept[..., :place], some, kept[..., place:-1]], -1)
        tried = torch.cat([swapped, left, right], 2)
        activation = self.objective.activations(tried.flatten(1, 2)).view(tried.shape[:3])
        foreseen = torch.nn.functional.pad(self._foreseen(texts, place, words), (0, 2 * some.shape[2]))
        promise = activation - (self._per_nat * ~values.isneginf())[..., None] * self._above(foreseen)
        best = promise.topk(min(JUDGED, tried.shape[2]), dim=-1)
        found = tried.gather(2, best.indices[..., None].expand(-1, -1, -1, texts.shape[2]))
        return torch.where((best.values > self._standing(values)[..., None])[..., None], found, found[:, :, :1])

    def worths(
        self, told: Scores, children: Int[Tensor, "k c j t"], values: Float[Tensor, "k c"]
    ) -> tuple[Float[Tensor, "k n"], Float[Tensor, "k c"]]:
        """What the scored texts are worth to the chains, and what the chains' own texts, with these `values`, are worth at the same price.

        That is a text's value, or above the bound its activation less the price of what is above it.
        """
        assert told.surprisal is not None
        self.scale = torch.maximum(self.scale, told.activation.abs().amax(1, keepdim=True))
        above = self._above(told.surprisal)
        worth = torch.where(above > 0, told.activation - self._per_nat * above, told.value)
        if self.objective.has_constraints:
            worth = worth.masked_fill(~self.objective.is_allowed(children.flatten(1, 2)), -torch.inf)
        return worth, self._standing(values)

    def kept(self, values: Float[Tensor, "k c"]) -> Float[Tensor, "k c"]:
        """The values of the chains' texts; -inf above the bound."""
        return values.masked_fill(self._above(self.surprisal) > 0, -torch.inf)

    def update(self, told: Scores, better: Bool[Tensor, "k c"], which: Int[Tensor, "k c"]) -> None:
        """Note the chains' new texts, number `which` of each chain's where they are `better`, and adapt the prices."""
        assert told.surprisal is not None
        self.word = _adapted(self.word, told.surprisal > self._most)
        chains = better.shape[1]
        at = which + torch.arange(chains, device=which.device) * (told.activation.shape[1] // chains)
        self.activation = torch.where(better, told.activation.gather(1, at), self.activation)
        self.surprisal = torch.where(better, told.surprisal.gather(1, at), self.surprisal)
        self.text = _adapted(self.text, self.surprisal > self._most)

    @property
    def _most(self) -> float:
        most = self.objective.most_surprisal
        assert most is not None
        return most

    @property
    def _per_nat(self) -> Float[Tensor, "k 1"]:
        return TEXT * self.text * self.scale

    def _above(self, surprisal: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
        return (surprisal - self._most).clamp(min=0).nan_to_num(nan=0.0)

    def _standing(self, values: Float[Tensor, "k c"]) -> Float[Tensor, "k c"]:
        """The worth of the chains' own texts, at the price of now; -inf where it is."""
        above = self._above(self.surprisal)
        return torch.where(values.isneginf() | (above == 0), values, self.activation - self._per_nat * above)

    def _foreseen(self, texts: Int[Tensor, "k c t"], place: int, words: Int[Tensor, "k c m"]) -> Float[Tensor, "k c m"]:
        """The surprisal of a chain's text with other words at a position, if what comes after it stays as likely."""
        rows = torch.searchsorted(self.objective.lexicon, torch.cat([texts[..., place, None], words], -1))
        own = self.own.gather(-1, rows.clamp(max=len(self.objective.lexicon) - 1))
        return self.surprisal[..., None] + own[..., 1:] - own[..., :1]


def _adapted(price: Float[Tensor, "k 1"], above: Bool[Tensor, "k n"]) -> Float[Tensor, "k 1"]:
    """A price, higher where more than half are above the bound, else lower."""
    return torch.where(above.float().mean(1, keepdim=True) > 0.5, price * STEP, price / STEP).clamp(*LIMITS)
