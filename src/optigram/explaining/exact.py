"""Exact activations of texts of any length for one target, each computed once; and the gradient's ranking of words."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
import torch

from optigram.errors import InputError
from optigram.objective.objective import Objective
from optigram.shapes import Float

BLOCK = 1024  # texts that are judged at once
ALL = 1024  # words up to which every one is a candidate

Ids = tuple[int, ...]


@dataclass(frozen=True)
class Scale:
    """Shares of an activation, counted from `base`: the median of the corpus, or of random texts."""

    base: float

    def level(self, share: float, top: float) -> float:
        """The activation that is this share of `top`."""
        return self.base + share * (top - self.base)


class Exact:
    """Scores texts of any length for the one target of an `objective`, between the words that its template has around them.

    A text has -inf where the target has no finite value on it, such as a position that it does not have. `known` are activations that
    were computed before, such as those of all n-grams of a corpus in one pass for all units of a layer. `pause` is called before every
    block of texts, and may raise KeyboardInterrupt.
    """

    def __init__(
        self, objective: Objective, known: Mapping[Ids, float] = MappingProxyType({}), pause: Callable[[], None] = lambda: None
    ) -> None:
        if objective.template.between:
            raise InputError("expected a template with one slot, for words are left out and added; write one {}")
        self.objective, self.vocabulary, self.pause = objective, objective.model.vocabulary, pause
        self.words = objective.lexicon.cpu().numpy()
        self._by_length: dict[int, Objective | None] = {}
        self._known: dict[Ids, float] = dict(known)
        self._climbed = 0.0

    @property
    def spent(self) -> float:
        """Forward-equivalents so far, without those of the objective itself."""
        return self._climbed + sum(float(one.cost.spent[0]) for one in self._by_length.values() if one is not None)

    def score(self, texts: Sequence[Ids]) -> Float[np.ndarray, " n"]:
        """Activations of texts."""
        new = [text for text in dict.fromkeys(texts) if text not in self._known]
        for length in sorted({len(text) for text in new}):
            same = [text for text in new if len(text) == length]
            objective = self._of(length)
            for start in range(0, len(same), BLOCK):
                self.pause()
                part = same[start : start + BLOCK]
                values = [-math.inf] * len(part)
                if objective is not None:
                    values = objective.score(torch.tensor(part)[None]).activation[0].tolist()
                self._known |= {text: value if math.isfinite(value) else -math.inf for text, value in zip(part, values, strict=True)}
        return np.array([self._known[text] for text in texts])

    def knows(self, texts: Iterable[Ids]) -> bool:
        """Whether all of them were scored before."""
        return all(text in self._known for text in texts)

    def ranked(self, text: Ids, place: int, count: int, lowest: bool = False) -> list[int]:
        """The `count` words (ids) that the gradient ranks highest at a place of a text, or lowest; all where there are few.

        The gradient is the sum of that at the text and that at an even mixture of random words at the place.
        """
        if len(self.words) <= max(ALL, count):
            return self.words.tolist()
        objective = self._of(len(text))
        if objective is None:
            return []
        objective = objective.viewed("search")  # in which a latent that is off has a slope
        ids, rng = torch.tensor(text)[None, None], np.random.default_rng(place)
        blend = torch.from_numpy(rng.choice(self.words, 8))[None, None]
        slope = objective.gradient(ids, [place]) + objective.gradient(ids, [place], blend)
        self._climbed += float(objective.cost.spent[0])
        order = slope[0, 0, 0].cpu().topk(count, largest=not lowest).indices
        return self.words[order.numpy()].tolist()

    def embedded(self, texts: Sequence[Ids]) -> Float[np.ndarray, "n d"]:
        """The mean embedding of the words of each text."""
        table = self.objective.model.embedding
        found = np.zeros((len(texts), table.shape[1]), np.float32)
        for length in {len(text) for text in texts}:
            rows = [row for row, text in enumerate(texts) if len(text) == length]
            found[rows] = table[torch.tensor([texts[row] for row in rows], device=table.device)].float().mean(1).cpu().numpy()
        return found

    def text(self, ids: Sequence[int]) -> str:
        """The text of ids."""
        return self.vocabulary.decode(ids)

    def tokens(self, ids: Sequence[int]) -> list[str]:
        """The tokens of ids."""
        return [self.vocabulary.tokens[id_] for id_ in ids]

    def _of(self, length: int) -> Objective | None:
        """The objective for texts of a length; None where its target has no value on them."""
        if length not in self._by_length:
            template = replace(self.objective.template, length=None)
            try:
                made = Objective(self.objective.model, self.objective.targets, length, template, self.words).viewed("exact")
            except InputError:
                made = None
            self._by_length[length] = made
        return self._by_length[length]
