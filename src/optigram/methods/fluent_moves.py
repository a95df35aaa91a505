"""Coordinate ascent within upper bounds on surprisal: words are charged for their own surprisal, activations are looked at first, and
chains may pass through texts above their bound, at a price (strategic oscillation, Glover 1989)."""

from collections.abc import Generator

import torch
from torch import Tensor

from optigram.methods.moves import Words, propose_start, standardised, swap_words
from optigram.objective.objective import Objective
from optigram.objective.rng import Streams
from optigram.objective.scores import Scores
from optigram.optimize.method import Ids, Proposal
from optigram.shapes import Bool, Float, Int, Shaped

WORD = 3.0  # price of a nat per token in the ranking of words, in deviations of the gradient; at first
TEXT = 0.3  # what a text loses per nat per token above the bound, in the largest activation of its target; at first
STEP = 1.3  # by which a price rises or falls
LIMITS = 1 / 30, 30.0  # of a price, in what it is at first
JUDGED = 4  # texts of a chain and round that are scored whole, where activations are looked at first
SAID = 512  # likely words, among which the language model draws each word of a first text
SHIFTED = 4  # one in so many of the words of a round is inserted too, once in place of the first word and once of the last


class Within:
    """Prices of k targets [k g] and the texts of their c chains [k c], as the search within bounds goes on.

    There is one bound for all chains (g = 1), or each has its own (g = c): the objective's in turn. `word` is the price of a word's own
    surprisal in the ranking; it is adapted until half of the texts scored are within the bound. `text` is the price of surprisal above
    the bound; it is adapted until half of the chains are within. Nothing above its chain's bound is kept.
    """

    def __init__(self, objective: Objective, first: Scores) -> None:
        assert first.surprisal is not None
        self.objective = objective
        self.most = _bounds(objective, first.activation.shape[1])
        self.word, self.text = (torch.ones_like(first.activation[:, : self.most.shape[1]]) for _ in range(2))
        self.scale = first.activation.abs().amax(1, keepdim=True)
        self.activation, self.surprisal = first.activation, first.surprisal
        self.own = torch.zeros(0)

    @staticmethod
    def begun(
        objective: Objective, streams: Streams, texts: Int[Tensor, "k c t"], start: Ids | None
    ) -> Generator[Proposal, Scores, Int[Tensor, "k c t"]]:
        """Where the chains begin: each at the best of the texts of `start` within its bound, or the least surprising where none is.

        Without a start, at texts that the language model samples; a chain's own one of `texts` stays where none of the start is allowed.
        """
        if start is None:
            return Words.sampled(objective, streams, texts, SAID)
        scores = yield (given := propose_start(objective, start))
        assert scores.surprisal is not None
        most, surprisal = _bounds(objective, texts.shape[1])[..., None], scores.surprisal[:, None]
        allowed = scores.value[:, None].isfinite()
        within = scores.value[:, None].masked_fill(~allowed | (surprisal > most), -torch.inf).max(2)
        least = surprisal.masked_fill(~allowed, torch.inf).argmin(2)
        which = torch.where(within.values.isneginf(), least, within.indices)
        found = given.ids.gather(1, which[..., None].expand(-1, -1, texts.shape[2]))
        return torch.where(allowed.any(2)[..., None], found, texts)

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
        above = self._above(told.surprisal.view(children.shape[:3])).flatten(1)
        priced = told.activation - (self._per_nat[..., None] * above.view(children.shape[:3])).flatten(1)
        worth = torch.where(above > 0, priced, told.value)
        if self.objective.has_constraints:
            worth = worth.masked_fill(~self.objective.is_allowed(children.flatten(1, 2)), -torch.inf)
        return worth, self._standing(values)

    def kept(self, values: Float[Tensor, "k c"]) -> Float[Tensor, "k g c"]:
        """The values of the chains' texts for each bound; -inf above it."""
        return values[:, None].masked_fill(self.surprisal[:, None] > self.most[..., None], -torch.inf)

    def update(self, told: Scores, better: Bool[Tensor, "k c"], which: Int[Tensor, "k c"]) -> None:
        """Note the chains' new texts, number `which` of each chain's where they are `better`, and adapt the prices."""
        assert told.surprisal is not None
        chains = better.shape[1]
        self.word = _adapted(self.word, self._above(told.surprisal.view(*better.shape, -1)) > 0)
        at = which + torch.arange(chains, device=which.device) * (told.activation.shape[1] // chains)
        self.activation = torch.where(better, told.activation.gather(1, at), self.activation)
        self.surprisal = torch.where(better, told.surprisal.gather(1, at), self.surprisal)
        self.text = _adapted(self.text, self._above(self.surprisal) > 0)

    @property
    def _per_nat(self) -> Float[Tensor, "k g"]:
        return TEXT * self.text * self.scale

    def _above(self, surprisal: Shaped[Tensor, "k c ..."]) -> Shaped[Tensor, "k c ..."]:
        most = self.most.view(*self.most.shape, *[1] * (surprisal.dim() - 2))
        return (surprisal - most).clamp(min=0).nan_to_num(nan=0.0)

    def _standing(self, values: Float[Tensor, "k c"]) -> Float[Tensor, "k c"]:
        """The worth of the chains' own texts, at the price of now; -inf where it is."""
        above = self._above(self.surprisal)
        return torch.where(values.isneginf() | (above == 0), values, self.activation - self._per_nat * above)

    def _foreseen(self, texts: Int[Tensor, "k c t"], place: int, words: Int[Tensor, "k c m"]) -> Float[Tensor, "k c m"]:
        """The surprisal of a chain's text with other words at a position, if what comes after it stays as likely."""
        rows = torch.searchsorted(self.objective.lexicon, torch.cat([texts[..., place, None], words], -1))
        own = self.own.gather(-1, rows.clamp(max=len(self.objective.lexicon) - 1))
        return self.surprisal[..., None] + own[..., 1:] - own[..., :1]


def _bounds(objective: Objective, chains: int) -> Float[Tensor, "1 g"]:
    """The objective's one bound, or its several in turn, one for each chain."""
    bounds = objective.surprisal_bounds
    own = [bounds[chain % len(bounds)] for chain in range(chains if len(bounds) > 1 else 1)]
    return torch.tensor(own, device=objective.device)[None]


def _adapted(price: Float[Tensor, "k g"], above: Shaped[Tensor, "k c ..."]) -> Float[Tensor, "k g"]:
    """Prices, higher where more than half are above the bound, else lower."""
    share = above.reshape(*price.shape, -1).float().mean(2)
    return torch.where(share > 0.5, price * STEP, price / STEP).clamp(*LIMITS)
