"""One text in several contexts: its score is the mean, or the minimum, of its scores between the fixed words of several templates."""

import copy
from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from optigram.errors import InputError
from optigram.models.base import Model
from optigram.objective.activations import View
from optigram.objective.cost import Cost
from optigram.objective.objective import Objective
from optigram.objective.scores import Scores, SoftText
from optigram.objective.whole_site import Whole
from optigram.shapes import Bool, Float, Int
from optigram.text.overlap import KnownTexts

Over = Literal["mean", "min"]


class Contexts(Objective):
    """An objective whose free words stand in several templates at once. `parts` are the objectives of single templates, of one model.

    A text costs one forward per context. It is allowed if it is in every context. What needs one whole text, such as `template`, is of
    the first part. Raises InputError for parts of different lengths or targets.
    """

    parts: Sequence[Objective]
    over: Over

    def __init__(self, parts: Sequence[Objective], over: Over = "mean") -> None:
        first = parts[0]
        if any((part.length, part.targets) != (first.length, first.targets) for part in parts):
            raise InputError("expected contexts with equally many free words; give each template the same slots")
        self.__dict__.update(vars(first))
        self.over, self.cost = over, Cost.at_zero(len(first.targets))
        self._hold(parts)

    def _hold(self, parts: Sequence[Objective]) -> None:
        """Take `parts`, which then charge what they cost to this objective."""
        self.parts = [copy.copy(part) for part in parts]
        for part in self.parts:
            part.cost = self.cost

    def _with(self, changed: Objective, change: Callable[[Objective], Objective]) -> "Contexts":
        """A copy of this one that has been `changed`, with parts that are changed likewise."""
        assert isinstance(changed, Contexts)
        changed._hold([change(part) for part in self.parts])
        return changed

    def _over(self, values: Sequence[Tensor]) -> Tensor:
        stacked = torch.stack(list(values))
        return stacked.mean(0) if self.over == "mean" else stacked.amin(0)

    def _together(self, scores: Sequence[Scores]) -> Scores:
        surprisals = [one.surprisal for one in scores if one.surprisal is not None]
        surprisal = torch.stack(surprisals).mean(0) if surprisals else None
        penalised = [one.value for one in scores]
        return Scores(self._over([one.activation for one in scores]), surprisal, self._over(penalised))

    @property
    def key(self) -> tuple[Any, ...]:
        """Those of all contexts, and how they are put together."""
        return self.over, *(part.key for part in self.parts)

    def each(self, ids: Int[Tensor, "k1 c t"]) -> Float[Tensor, "contexts k c"]:
        """The activations of texts in each context. Not charged."""
        return torch.cat([part.each(ids) for part in self.parts])

    @property
    def contexts(self) -> int:
        """How many."""
        return len(self.parts)

    @property
    def passes(self) -> int:
        """Forwards per text: those of all contexts."""
        return sum(part.passes for part in self.parts)

    @property
    def activation_cost(self) -> float:
        """That of all contexts."""
        return sum(part.activation_cost for part in self.parts)

    @property
    def places(self) -> list[Whole]:
        """None: activations are not computed from the states of one text."""
        return []

    def score(self, ids: Int[Tensor, "k1 c t"], owned: bool = False) -> Scores:
        """Exact activations of texts [k1 c t], over all contexts; shapes as in `Objective.score`."""
        return self._together([part.score(ids, owned) for part in self.parts])

    def activations(self, ids: Int[Tensor, "k c t"]) -> Float[Tensor, "k c"]:
        """As `Objective.activations`, over all contexts."""
        return self._over([part.activations(ids) for part in self.parts])

    def relax(self, text: SoftText, penalty: Float[Tensor, "k1 c"] | None = None, linearised: bool = False) -> Scores:
        """Differentiable activations of soft texts, over all contexts."""
        return self._together([part.relax(text, penalty, linearised) for part in self.parts])

    def is_allowed(self, ids: Int[Tensor, "k1 c t"]) -> Bool[Tensor, "k c"]:
        """Which texts are allowed in every context."""
        return torch.stack([part.is_allowed(ids) for part in self.parts]).all(0)

    def expected(self, ids: Int[Tensor, "k1 c t"]) -> Float[Tensor, "k1 c t v"]:
        """Logits of the words at each free position, the mean over contexts."""
        return torch.stack([part.expected(ids) for part in self.parts]).mean(0)

    def word_surprisal(self, ids: Int[Tensor, "k1 c t"], place: int) -> Float[Tensor, "k1 c v"]:
        """As `Objective.word_surprisal`, in the context where the word is most surprising."""
        return torch.stack([part.word_surprisal(ids, place) for part in self.parts]).amax(0)

    def second_opinion(self, ids: Int[Tensor, "k1 c t"]) -> Float[Tensor, "k1 c"] | None:
        """The surprisal of texts under the second language model, the mean over contexts."""
        given = [value for part in self.parts if (value := part.second_opinion(ids)) is not None]
        return torch.stack(given).mean(0) if given else None

    def viewed(self, view: View, model: Model | None = None) -> "Contexts":
        """As `Objective.viewed`, in all contexts."""
        return self._with(super().viewed(view, model), lambda part: part.viewed(view, model))

    def climbing(self) -> "Contexts":
        """As `Objective.climbing`, in all contexts."""
        return self._with(super().climbing(), Objective.climbing)

    def subset(self, members: Sequence[int]) -> "Contexts":
        """As `Objective.subset`, in all contexts."""
        return self._with(super().subset(members), lambda part: part.subset(members))

    def excluding(self, known: KnownTexts) -> "Contexts":
        """As `Objective.excluding`, in all contexts."""
        return self._with(super().excluding(known), lambda part: part.excluding(known))

    def deterministic(self) -> "Contexts":
        """As `Objective.deterministic`, in all contexts."""
        return self._with(super().deterministic(), Objective.deterministic)
