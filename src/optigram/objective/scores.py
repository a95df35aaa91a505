"""What methods and the objective exchange: texts as mixtures of words, and scores."""

from typing import NamedTuple

import torch
from torch import Tensor

from optigram.models.products import derived, product, times_transposed
from optigram.shapes import Float, Int


class SoftText(NamedTuple):
    """Soft texts: `embeds` [k1 c t d], and the `weights` of words [k1 c t v] that made them, if any."""

    embeds: Float[Tensor, "k1 c t d"]
    weights: Float[Tensor, "k1 c t v"] | None

    @staticmethod
    def mixed(weights: Float[Tensor, "k c *n t v"], table: Float[Tensor, "*lists v d"]) -> Float[Tensor, "k c *n t d"]:
        """Weighted sums of the words of a table [v d], or of tables [k c t v d] of each restart and position.

        A row has the same bits in any company, which those of `weights @ table` have not.
        """
        if table.dim() == 2:
            return product(weights, table)
        lists = table if weights.dim() == 4 else table[:, :, None]
        return (weights[..., None, :] @ lists)[..., 0, :]

    @staticmethod
    def per_word(slopes: Float[Tensor, "k c *n t d"], table: Float[Tensor, "*lists v d"]) -> Float[Tensor, "k c *n t v"]:
        """Slopes along embeddings as slopes along the weight of each word of a table as in `mixed`."""
        if table.dim() > 2:
            return SoftText.mixed(slopes, table.mT)
        return times_transposed(slopes.flatten(0, -2), table).view(*slopes.shape[:-1], len(table))

    @staticmethod
    def cosines(embeds: Float[Tensor, "*n d"], table: Float[Tensor, "v d"]) -> Float[Tensor, "*n v"]:
        """The cosine of embeddings to each word of a table."""
        units = derived(table, "units", lambda words: torch.nn.functional.normalize(words, dim=-1).T.contiguous())
        return product(torch.nn.functional.normalize(embeds, dim=-1), units)

    @staticmethod
    def directions(rows: Int[Tensor, "*n"], table: Float[Tensor, "v d"]) -> Float[Tensor, "*n d"]:
        """The embeddings of some words of a table, less the mean of them all, of norm 1."""
        middle = derived(table, "middle", lambda words: words.float().mean(0))
        return torch.nn.functional.normalize(table[rows].float() - middle, dim=-1)


class Scores(NamedTuple):
    """Scores of texts, float32 [k c].

    `activation` is the target's pooled number in the model's own units; `surprisal` is in nats per token, with a fluency.
    `penalised` ranks the texts if the activation alone does not: less the penalties, and -inf for a text that is not allowed.
    """

    activation: Float[Tensor, "k c"]
    surprisal: Float[Tensor, "k c"] | None = None
    penalised: Float[Tensor, "k c"] | None = None

    @property
    def value(self) -> Float[Tensor, "k c"]:
        """What is maximised: the activation less penalties."""
        return self.activation if self.penalised is None else self.penalised
