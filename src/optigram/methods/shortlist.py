"""The words that an ascent over mixtures keeps at each position: those that the gradient at random texts ranks highest."""

from dataclasses import dataclass

import torch
from torch import Tensor

from optigram.methods.relaxations import Given
from optigram.objective.objective import Objective
from optigram.objective.rng import Streams
from optigram.objective.scores import SoftText
from optigram.shapes import Float, Int

TEXTS = 8  # random texts per restart
COST = 3 * TEXTS  # forward-equivalents per restart
RANKED = 1 << 24  # numbers for words that are held while they are ranked: 64 MB, whatever the vocabulary and the length


@dataclass(frozen=True)
class Shortlist:
    """`words` [k c t m]: rows of the objective's table, m words for each restart and position."""

    words: Int[Tensor, "k c t m"]

    @classmethod
    def of(cls, objective: Objective, streams: Streams, size: int, given: Given) -> "Shortlist":
        """The `size` best words (or all); words that are given are always among them."""
        table = objective.table
        texts = table[streams.integers(len(table), TEXTS, objective.length)].requires_grad_()
        (slope,) = torch.autograd.grad(objective.relax(SoftText(texts.flatten(1, 2), None)).value.sum(), texts)
        places, found = slope.mean(dim=2).flatten(0, 2), []
        for rows in torch.arange(len(places), device=places.device).split(max(RANKED // len(table), 1)):
            liked = SoftText.per_word(places[None, None, rows], table)[0, 0]
            if given is not None:
                own = given.flatten()[rows, None]
                wanted = torch.where(own < 0, -torch.inf, torch.inf)
                liked = liked.scatter_reduce(-1, own.clamp(min=0), wanted, "amax")
            found.append(liked.topk(min(size, len(table)), dim=-1).indices)
        return cls(torch.cat(found).unflatten(0, slope.shape[:2] + slope.shape[3:4]))

    def table(self, whole: Float[Tensor, "v d"]) -> Float[Tensor, "k c t m d"]:
        """The embeddings [k c t m d] of the words."""
        return whole[self.words]

    def places(self, given: Given) -> Given:
        """Where the given words are in the lists; -1 stays."""
        if given is None:
            return None
        return torch.where(given < 0, given, (self.words == given[..., None]).int().argmax(dim=-1))

    def rows(self, chosen: Int[Tensor, "k n t"]) -> Int[Tensor, "k n t"]:
        """Rows of the whole table for places in the lists of c restarts; n is a multiple of c."""
        lists = self.words.repeat(1, chosen.shape[1] // self.words.shape[1], 1, 1)
        return lists.gather(-1, chosen[..., None])[..., 0]
