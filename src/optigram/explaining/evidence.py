"""What is known about a neuron, as it is shown, saved and described; needs no torch.

Every activation was computed from the discrete text by the objective. `maximum` of an evidence is the highest activation among its texts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from optigram.errors import InputError
from optigram.explaining.pattern import Example, Pattern, Slot

__all__ = ["Concept", "Contrast", "Evidence", "Example", "Pattern", "Slot"]


@dataclass(frozen=True)
class Concept:
    """Texts of one kind to which a neuron responds.

    `examples` are ordered by activation. `share`: the concept's share of the `places` of the evidence, None without a corpus. A third of
    these are the highest ones of the corpus and the others a random sample of the high ones, so that the highest concept's share of all
    high places is less than this; and they are the places that the concepts were made of. Places are high by the one level of the
    neuron, so a concept that is less high has fewer of them than of texts in which it fires. `order`:
    the share of other orders of the words of its best example that fire, None where there is no other.
    """

    examples: Sequence[Example]
    pattern: Pattern
    share: float | None
    order: float | None = None

    @property
    def height(self) -> float:
        """The highest activation of its examples."""
        return max(example.activation for example in self.examples)


@dataclass(frozen=True)
class Contrast:
    """Two texts that differ little while their activations differ much.

    `kind`: "off", "on", "near miss", "surprise", "order" or "inhibits" (`other` is the text with words added that lower it).
    """

    kind: str
    text: Example
    other: Example


@dataclass(frozen=True)
class Evidence:
    """All that was found about the `target` of a `model`: its concepts by height, at both poles ("max", "min"), and contrasts.

    At the pole "min" the `target` is the negative of what was asked for, and activations are those of the negative. `stability`: how
    well the number of concepts is reproduced on random halves of the texts, in 0 to 1. `corpus` names the corpus, or None. `base`: the
    median activation of the corpus, or of random texts without one; shares of an activation are counted from it. `places`: the number
    of high corpus places that were looked at. `forwards`: what it cost, in forward-equivalents, the corpus search included.
    """

    model: str
    target: str
    pole: str
    concepts: Sequence[Concept]
    contrasts: Sequence[Contrast]
    stability: float
    corpus: str | None
    base: float = 0.0
    places: int = 0
    forwards: float = 0.0
    seconds: float = 0.0

    @property
    def maximum(self) -> float:
        """The highest activation of all concepts."""
        return max(concept.height for concept in self.concepts)

    def level(self, share: float = 0.5) -> float:
        """The activation at a share of the way from `base` to the maximum; at half of it a text fires."""
        return self.base + share * (self.maximum - self.base)

    def check_is_of(self, model: str) -> None:
        """Raises InputError if it is about another model than the one with this name."""
        if self.called(self.model) != self.called(model):
            raise InputError(f"expected an evidence of {model}, got one of {self.model}; explain {self.target} of this model")

    @staticmethod
    def called(model: str) -> str:
        """What a model is called wherever it lies: the name of its folder or file, or of the folder that has it as `model`."""
        parts = [part for part in model.split("/") if part not in ("", "model")]
        return parts[-1] if parts else model

    def to_json(self) -> dict[str, Any]:
        """Everything as JSON keeps it."""
        return asdict(self)

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> "Evidence":
        """What `to_json` gave. Raises KeyError or TypeError for anything else."""
        concepts = [
            Concept(**{**one, "examples": [Example(**each) for each in one["examples"]], "pattern": _pattern(one["pattern"])})
            for one in kept["concepts"]
        ]
        contrasts = [Contrast(one["kind"], Example(**one["text"]), Example(**one["other"])) for one in kept["contrasts"]]
        return cls(**{**kept, "concepts": concepts, "contrasts": contrasts})


def _pattern(kept: Mapping[str, Any]) -> Pattern:
    slots = [Slot(_words(slot["words"]), slot["gap"]) for slot in kept["slots"]]
    return Pattern(**{**kept, "core": Example(**kept["core"]), "slots": slots, "without": _words(kept["without"])})


def _words(kept: Sequence[Sequence[Any]]) -> tuple[tuple[str, float], ...]:
    return tuple((str(word), float(value)) for word, value in kept)
