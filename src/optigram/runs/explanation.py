"""What `explain` finds out about a text; needs no torch."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Substitution:
    """A word in the place of another, and the activation that the text then has."""

    word: str
    activation: float


@dataclass(frozen=True)
class Place:
    """A free position: its word, the activation of the text without it (None: it cannot be left out), and its best substitutions."""

    word: str
    without: float | None
    substitutions: Sequence[Substitution]


@dataclass(frozen=True)
class Explanation:
    """What a text's `activation` for a target depends on.

    `optimal`: no judged word in any place is an improvement. `orders`: activations of the same words in other orders, of which
    `better` are above the text's own.
    """

    target: str
    text: str
    activation: float
    places: Sequence[Place]
    orders: Sequence[float]
    whole_lexicon: bool

    @property
    def optimal(self) -> bool:
        """Whether no judged substitution is an improvement."""
        return all(one.activation <= self.activation for place in self.places for one in place.substitutions[:1])

    @property
    def better(self) -> int:
        """How many other orders are better."""
        return sum(activation > self.activation for activation in self.orders)

    def order(self) -> str:
        """How much the order of the words matters, in a sentence."""
        orders = sorted(self.orders)
        if not orders:
            return "a single word has no order"
        middle = orders[len(orders) // 2]
        return f"in {len(orders)} other orders: {orders[0]:.3f} to {orders[-1]:.3f}, median {middle:.3f}; {self.better} of them better"
