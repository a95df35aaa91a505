"""Relaxed texts: their differentiable scores, and the gradient per word.

Axes are those of the objective: k1 targets or 1, c texts, t free tokens, v words, d embedding width; p positions, m words of a blend.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from optigram.models.base import Model
from optigram.objective.blocks import Blocks
from optigram.objective.forward import by_group, read_soft
from optigram.objective.functions import Groups
from optigram.objective.layout import Layout
from optigram.objective.scores import Scores, SoftText
from optigram.objective.surprisal import Surprisal
from optigram.shapes import Float, Int


@dataclass(frozen=True)
class Relaxed:
    """What soft texts are scored with: the groups of a model, and `told`, the surprisal that is penalised; None: none is.

    `joint` is `told` where the forward for the activations gives it too; else it is another model's, run in the blocks `hearing`.
    """

    model: Model
    layout: Layout
    groups: Groups
    blocks: Blocks
    hearing: Blocks
    told: Surprisal | None
    joint: Surprisal | None

    def scores(self, text: SoftText, penalty: Float[Tensor, "k1 c"] | None, linearised: bool) -> Scores:
        """Differentiable scores; `penalty` is the price of a nat beyond the weight."""
        embeds = self.layout.surround(text.embeds, lambda fixed: self.model.embedding.detach()[fixed].float())
        weights = None if self.told is None else self.told.need_mixtures(text.weights)

        def run(texts: Tensor, parts: Groups) -> Tensor:
            if len(texts) == len(embeds):
                return read_soft(self.model, embeds, parts, self.blocks, weights, self.joint, linearised)
            mixed = None if weights is None else weights.index_select(0, texts)
            return read_soft(self.model, embeds.index_select(0, texts), parts, self.blocks, mixed, self.joint, linearised)

        values = by_group(torch.arange(len(embeds), device=embeds.device), self.groups, run)
        activation = values[..., 0]
        if self.told is None or weights is None:
            return Scores(activation)
        surprisal = self._surprisal(self.told, weights).expand_as(activation) if self.joint is None else values[..., 1]
        return Scores(activation, surprisal, self.told.penalised_soft(activation, surprisal, weights, 0.0 if penalty is None else penalty))

    def _surprisal(self, told: Surprisal, weights: Float[Tensor, "k1 c t v"]) -> Float[Tensor, "k1 c"]:
        """The surprisal of soft texts to another model, in blocks."""
        key = "surprisal", len(self.layout.looked)
        found = self.hearing.run(key, lambda rows: told.soft(rows[None])[0], weights.flatten(0, 1))
        return found.view(weights.shape[:2])

    @staticmethod
    def gradient(
        relax: Callable[[SoftText, Tensor | None], Scores],
        embedding: Float[Tensor, "w d"],
        words: tuple[Int[Tensor, " v"], Float[Tensor, "v d"]],
        ids: Int[Tensor, "k1 c t"],
        at: Sequence[int] | None,
        blend: Int[Tensor, "k1 c m"] | None,
        penalty: Float[Tensor, "k1 c"] | None,
        beside: bool,
        mixtures: bool,
    ) -> Float[Tensor, "k1 c p v"]:
        """The gradient of the sum of values with respect to one-hot texts, as `Objective.gradient`.

        `relax` scores soft texts with a penalty; `words` are the ids that may be proposed, and their embeddings. With `mixtures` the
        weights of words are given to `relax` too.
        """
        lexicon, table = words
        places = slice(None) if at is None else list(at)
        embeds, weights = embedding[ids].float(), (ids[..., None] == lexicon).float() if mixtures else None
        c = ids.shape[1]
        if blend is not None:
            mixed, shares = embeds.clone() if beside else embeds, weights
            mixed[:, :, places] = embedding[blend].float().mean(2, keepdim=True)
            if weights is not None:
                shares = weights.clone() if beside else weights
                shares[:, :, places] = (blend[..., None] == lexicon).float().mean(2, keepdim=True)
            if beside:
                embeds, weights = (
                    torch.cat([embeds, mixed], 1),
                    None if shares is None or weights is None else torch.cat([weights, shares], 1),
                )
                penalty = None if penalty is None else penalty.repeat(1, 2)
        leaves = [embeds.requires_grad_(), *([] if weights is None else [weights.requires_grad_()])]
        slopes = torch.autograd.grad(relax(SoftText(embeds, weights), penalty).value.sum(), leaves)
        slope, *own = (torch.stack(part[:, :, places].split(c, dim=1)).sum(0) for part in slopes)
        found = SoftText.per_word(slope, table)
        return found + own[0] if own else found
