"""What methods and the objective exchange: texts as mixtures of words, and scores."""

from typing import NamedTuple

from torch import Tensor

from optigram.shapes import Float


class SoftText(NamedTuple):
    """Soft texts: `embeds` [k1 c t d], and the `weights` of words [k1 c t v] that made them, if any."""

    embeds: Float[Tensor, "k1 c t d"]
    weights: Float[Tensor, "k1 c t v"] | None

    @staticmethod
    def mixed(weights: Float[Tensor, "k c *n t v"], table: Tensor) -> Float[Tensor, "k c *n t d"]:
        """Weighted sums of the words of a table."""
        if table.dim() == 2:
            return weights @ table
        lists = table if weights.dim() == 4 else table[:, :, None]
        return (weights[..., None, :] @ lists)[..., 0, :]


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
