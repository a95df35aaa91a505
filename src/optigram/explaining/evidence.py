"""What is known about a neuron, as it is shown, saved and described; needs no torch.

Every activation was computed from the discrete text by the objective. `maximum` of an evidence is the highest activation among its texts.
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Example:
    """A text and its activation. `source`: "search" (optimized), "corpus", "pattern" (drawn from a pattern), or "edit"."""

    text: str
    activation: float
    source: str


@dataclass(frozen=True)
class Slot:
    """A position of a pattern: the words that may stand there, each with the activation that the core has with it, best first."""

    words: Sequence[tuple[str, float]]


@dataclass(frozen=True)
class Pattern:
    """A small grammar: one slot per position of the core, the shortest text that keeps 90% of the activation.

    `firing`: the share of `drawn` texts from the pattern whose activation is at least half of the core's. `recall`: the share of
    the concept's high corpus places that contain the pattern, None without a corpus.
    """

    core: Example
    slots: Sequence[Slot]
    firing: float
    drawn: int
    recall: float | None


@dataclass(frozen=True)
class Concept:
    """Texts of one kind to which a neuron responds.

    `examples` are ordered by activation. `share`: the concept's share of the corpus's high places, None without a corpus.
    """

    examples: Sequence[Example]
    pattern: Pattern
    share: float | None

    @property
    def height(self) -> float:
        """The highest activation of its examples."""
        return max(example.activation for example in self.examples)


@dataclass(frozen=True)
class Contrast:
    """Two texts that differ little while their activations differ much. `kind`: "off", "on", "near miss", "surprise" or "order"."""

    kind: str
    text: Example
    other: Example


@dataclass(frozen=True)
class Evidence:
    """All that was found about the `target` of a `model`: its concepts by height, at both poles ("max", "min"), and contrasts.

    `stability`: how well the number of concepts is reproduced on random halves of the texts, in 0 to 1. `corpus` names the corpus, or
    None.
    """

    model: str
    target: str
    pole: str
    concepts: Sequence[Concept]
    contrasts: Sequence[Contrast]
    stability: float
    corpus: str | None

    @property
    def maximum(self) -> float:
        """The highest activation of all concepts."""
        return max(concept.height for concept in self.concepts)
