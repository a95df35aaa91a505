"""The words worth trying: for each restart and position, the few of the vocabulary that the gradient at random texts likes best.

A step of gumbel or softmax over them costs what they cost, whatever the size of the vocabulary.
"""

import torch
from torch import Tensor

from optigram.methods.relaxations import Given
from optigram.objective.objective import Objective
from optigram.objective.rng import Streams
from optigram.objective.scores import SoftText
from optigram.shapes import Int

TEXTS = 8  # of random words, for each restart
COST = 3 * TEXTS  # forward-equivalents a restart
Words = Int[Tensor, "k c t m"]


def shortlist(objective: Objective, streams: Streams, size: int, given: Given) -> Words:
    """Rows of the table of so many words a restart and position, or of all; the words that are given are among them."""
    table = objective.table
    texts = table[streams.integers(len(table), TEXTS, objective.length)].requires_grad_()
    (slope,) = torch.autograd.grad(objective.relax(SoftText(texts.flatten(1, 2), None)).value.sum(), texts)
    liked = slope.mean(dim=2) @ table.T
    if given is not None:
        wanted = torch.where(given < 0, -torch.inf, torch.inf)[..., None]
        liked = liked.scatter_reduce(-1, given.clamp(min=0)[..., None], wanted, "amax")
    return liked.topk(min(size, len(table)), dim=-1).indices


def places(words: Words, given: Given) -> Given:
    """Where in the lists the words that are given stand; -1 stays."""
    if given is None:
        return None
    return torch.where(given < 0, given, (words == given[..., None]).int().argmax(dim=-1))


def words_at(words: Words, chosen: Int[Tensor, "k n t"]) -> Int[Tensor, "k n t"]:
    """Rows of the table for places in the lists of c restarts; n is a multiple of c."""
    lists = words.repeat(1, chosen.shape[1] // words.shape[1], 1, 1)
    return lists.gather(-1, chosen[..., None])[..., 0]
