"""What passes between methods and the judge: texts as mixtures of words, and what texts are worth."""

from typing import NamedTuple

from torch import Tensor

from optigram.shapes import Float


class SoftText(NamedTuple):
    """Mixtures of words: `embeds` [k1 c t d], and the `weights` [k1 c t v] that made them, where there are any."""

    embeds: Float[Tensor, "k1 c t d"]
    weights: Float[Tensor, "k1 c t v"] | None


class Scores(NamedTuple):
    """What texts are worth, float32 [k c].

    `activation` is the target's pooled number, in the model's own units; `surprisal` nats per token, where fluency was
    asked for. `penalised` is what ranks the texts, where that is not the activation: less what fluency costs, and -inf
    for a text that may not be kept.
    """

    activation: Float[Tensor, "k c"]
    surprisal: Float[Tensor, "k c"] | None = None
    penalised: Float[Tensor, "k c"] | None = None

    @property
    def value(self) -> Float[Tensor, "k c"]:
        """What is maximised."""
        return self.activation if self.penalised is None else self.penalised
