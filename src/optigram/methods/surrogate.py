"""What the words that were scored at a position say about those that were not: a Gaussian process over embeddings.

The prior mean of a word's score is linear in its gradient, standardised over the words, with a slope fitted to the scored words; what
is left varies smoothly with the direction of the word's embedding. Scores are in units of their deviation.
"""

import torch
from torch import Tensor

from optigram.methods.moves import standardised
from optigram.objective.objective import Objective
from optigram.objective.scores import SoftText
from optigram.shapes import Float, Int

POOL = 1024  # words that are ranked: those with the largest gradients
NOISE = 1.0  # variance of a score that embeddings do not explain, to that which they do
RIDGE = 0.1  # of the slope, in units of the variance of the scored words' gradients


def expected(
    objective: Objective,
    slope: Float[Tensor, "k c v"],
    texts: Int[Tensor, "k c t"],
    place: int,
    words: Int[Tensor, "k c m"],
    scores: Float[Tensor, "k c m"],
    most: int,
) -> Float[Tensor, "k c v"]:
    """The expected score of each word at one position, given the `scores` of some `words`.

    Those must be among the first `most` of the gradient's ranking, or the result for their text means nothing. It is -inf for words that
    were scored, for the text's own, and for those below the first `POOL` (or `most`) of the ranking.
    """
    pool = slope.topk(min(max(POOL, most), slope.shape[2]), dim=-1).indices
    ids, gradients = objective.lexicon[pool], standardised(slope).gather(-1, pool)
    scored = ids[..., None] == words[..., None, :]
    found = [  # target by target: the same bits in any company
        _posterior(SoftText.directions(rows, objective.table), *of_target)
        for rows, *of_target in zip(pool, gradients, scored.long().argmax(2), scores, strict=True)
    ]
    taken = scored.any(-1) | (ids == texts[..., place, None])
    return torch.full_like(slope, -torch.inf).scatter(-1, pool, torch.stack(found).masked_fill(taken, -torch.inf))


def _posterior(
    units: Float[Tensor, "c p d"], gradients: Float[Tensor, "c p"], scored: Int[Tensor, "c m"], scores: Float[Tensor, "c m"]
) -> Float[Tensor, "c p"]:
    """The posterior mean for p words of each chain; those at the places `scored` have `scores`, of which -inf counts as the least."""
    known = scores.isfinite()
    scores = torch.where(known, scores, scores.masked_fill(~known, torch.inf).amin(-1, keepdim=True)).nan_to_num(posinf=0.0)
    at = gradients.gather(-1, scored)
    centred, scores = at - at.mean(-1, keepdim=True), standardised(scores)
    rise = ((centred * scores).mean(-1, keepdim=True) / (centred.square().mean(-1, keepdim=True) + RIDGE)).clamp(min=0)
    basis = units.gather(1, scored[..., None].expand(-1, -1, units.shape[2]))
    noise = NOISE * torch.eye(scored.shape[1], device=units.device)
    factor, _ = torch.linalg.cholesky_ex(torch.exp(basis @ basis.mT - 1) + noise)
    weights = torch.cholesky_solve((scores - rise * centred)[..., None], factor)
    smooth = (torch.exp(units @ basis.mT - 1) @ weights)[..., 0]
    return smooth + rise * (gradients.clamp(max=at.amax(-1, keepdim=True)) - at.mean(-1, keepdim=True))
