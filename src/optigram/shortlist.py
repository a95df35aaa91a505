"""The words worth trying: for each target and position, the few of the vocabulary that the gradient at random texts likes best.

A step of gumbel or softmax over them costs what they cost, whatever the size of the vocabulary.
"""

import torch
from torch import Tensor

from optigram.noise import Streams
from optigram.objective import Objective, SoftText
from optigram.relaxations import Given
from optigram.shapes import Int

TEXTS = 8  # of random words, for each restart
COST = 3 * TEXTS  # forward-equivalents a restart
Words = Int[Tensor, "k t m"]


def shortlist(objective: Objective, streams: Streams, size: int, given: Given) -> Words:
    """Rows of the table of so many words a position, or of all; the words that are given are among them."""
    table = objective.table
    texts = table[streams.integers(len(table), TEXTS, objective.length)].flatten(1, 2).requires_grad_()
    (slope,) = torch.autograd.grad(objective.relax(SoftText(texts, None)).value.sum(), texts)
    liked = slope.mean(dim=1) @ table.T
    if given is not None:
        wanted = torch.where(given < 0, -torch.inf, torch.inf).transpose(1, 2)
        liked = liked.scatter_reduce(-1, given.clamp(min=0).transpose(1, 2), wanted, "amax")
    return liked.topk(min(size, len(table)), dim=-1).indices


def places(words: Words, given: Given) -> Given:
    """Where in the lists the words that are given stand; -1 stays."""
    if given is None:
        return None
    return torch.where(given < 0, given, (words[:, None] == given[..., None]).int().argmax(dim=-1))


def spelled(words: Words, chosen: Int[Tensor, "k n t"]) -> Int[Tensor, "k n t"]:
    """Rows of the table for places in the lists."""
    return words.gather(-1, chosen.transpose(1, 2)).transpose(1, 2)
