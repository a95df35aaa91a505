"""Fluency: the surprisal of a text to a language model, in nats per token, for discrete texts and for mixtures of words.

The mean is over the tokens from the first free one on, each given all tokens before it, without special tokens and
without the first token of the input. So after a begin token or a template's words every free word counts; otherwise the
first does not.
"""

from dataclasses import dataclass

from optigram.errors import InputError
from optigram.models.base import Model

FRONT = (1.5, 2.5, 3.5, 4.5, 5.5, 7.0, 9.0, float("inf"))  # nats per token that the chains of a search for the Pareto front aim at


@dataclass(frozen=True)
class Fluency:
    """Penalties and bounds on the surprisal of a text.

    `weight` is subtracted from the value per nat per token; texts with a surprisal outside `band` are not allowed. `model` is
    the language model; None is the searched model itself. `repetition` is the weight of repeated words (FLRT, Thompson & Sklar 2024),
    which language models favour. `second` is another language model that takes no part in the search and scores the kept texts. With
    `front` the Pareto front is asked for: a search without a weight or an upper bound then aims at several bounds at once.
    """

    weight: float = 0.0
    band: tuple[float, float] = (0.0, float("inf"))
    model: Model | None = None
    repetition: float = 0.0
    second: Model | None = None
    front: bool = False

    def __post_init__(self) -> None:
        least, most = self.band
        if not 0 <= self.weight < float("inf"):
            raise InputError(f"expected a fluency weight of at least 0, got {self.weight}")
        if not 0 <= self.repetition < float("inf"):
            raise InputError(f"expected a repetition weight of at least 0, got {self.repetition}")
        if not 0 <= least < most:
            raise InputError(f"expected a band of surprisal such as 2-6, in nats per token, got {least}-{most}")

    @property
    def bounds(self) -> tuple[float, ...]:
        """The most nats per token that texts may have: the band's, or those that a search for the front aims at; none without either."""
        if self.band[1] != float("inf"):
            return (self.band[1],)
        return FRONT if self.front and not self.weight else ()

    @staticmethod
    def parse_band(text: str) -> tuple[float, float]:
        """Parse "2-6", "-6" or "2-": the least and the most nats per token. Raises InputError."""
        least, dash, most = text.partition("-")
        try:
            if not dash:
                raise ValueError
            return float(least or 0), float(most or "inf")
        except ValueError as error:
            raise InputError(f"expected a band of surprisal such as 2-6, in nats per token, got {text!r}") from error
