"""What coordinate ascent does within an upper bound on surprisal: words are charged for their own surprisal, and activations are looked at first."""

import torch
from torch import Tensor

from optigram.methods.moves import standardised, swap_words
from optigram.objective.objective import Objective
from optigram.objective.scores import Scores
from optigram.shapes import Float, Int

PRICE, STEP = 3.0, 1.3  # of a nat per token, in deviations of the gradient: at first, and the factor by which it rises or falls
CHEAPEST, DEAREST = 0.1, 100.0
JUDGED = 4  # texts of a chain and round that are scored whole, where activations are looked at first
SHIFTED = 4  # one word in so many is inserted too, once at the cost of the first word and once of the last
SOFT = False
LEAST, FIRST = 1e-3, 0.3


class Bound:
    """The price of surprisal of each target [k 1], which is adapted until about half of the texts scored are within the bound."""

    def __init__(self, objective: Objective, scores: Scores) -> None:
        self.objective, self.price = objective, torch.full_like(scores.value[:, :1], PRICE, dtype=torch.float32)
        self.looks = objective.activation_cost <= objective.passes / 2
        self.fine = FIRST * scores.activation.amax(1, keepdim=True).abs()
        self.now = (scores.activation, scores.surprisal)

    def charged(self, slope: Float[Tensor, "k c v"], texts: Int[Tensor, "k c t"], place: int) -> Float[Tensor, "k c v"]:
        """A gradient less the price of what each word adds to the surprisal, given the words before it."""
        return standardised(slope) - self.price[..., None] * self.objective.word_surprisal(texts, place)

    def looked(
        self, texts: Int[Tensor, "k c t"], place: int, words: Int[Tensor, "k c m"], values: Float[Tensor, "k c"]
    ) -> Int[Tensor, "k c j t"]:
        """Of the texts with each of `words` those with the highest activations, if these are above the chain's value; else copies of the first."""
        children = swap_words(texts, place, words)
        if not self.looks:
            return children
        if SHIFTED:
            some = words[..., : max(words.shape[2] // SHIFTED, 1)]
            moved = children[:, :, : some.shape[2]]
            left = torch.cat([moved[..., 1 : place + 1], some[..., None], moved[..., place + 1 :]], -1)
            left[..., max(place - 1, 0)] = texts[:, :, None, place] if place else some
            right = torch.cat([moved[..., :place], some[..., None], texts[:, :, None, place:-1].expand(-1, -1, some.shape[2], -1)], -1)
            children = torch.cat([children, left, right], 2)
        activation = self.objective.activations(children.flatten(1, 2)).view(children.shape[:3])
        best = activation.topk(min(JUDGED, children.shape[2]), dim=-1)
        found = children.gather(2, best.indices[..., None].expand(-1, -1, -1, texts.shape[2]))
        above = self.now[0] - self.fine * self.excess(self.now[1]) if SOFT else values
        return torch.where((best.values > above[..., None])[..., None], found, found[:, :, :1])

    def excess(self, surprisal):
        return (surprisal - self.objective.most_surprisal).clamp(min=0)

    def adapt(self, tried: Scores) -> None:
        """Raise the prices of targets where more than half of the texts scored are above the bound, lower the others."""
        most = self.objective.most_surprisal
        if most is not None and tried.surprisal is not None:
            above = (tried.surprisal > most).float().mean(1, keepdim=True) > 0.5
            self.price = torch.where(above, self.price * STEP, self.price / STEP).clamp(CHEAPEST, DEAREST)
