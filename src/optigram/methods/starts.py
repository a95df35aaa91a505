"""Starts: texts from which ascents begin, such as the best places of a scan, in place of chance."""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from optigram.objective import Objective
from optigram.relaxations import Embeddings, Logits, Relaxation
from optigram.shapes import Float, Int


@dataclass(frozen=True)
class Starts:
    """Texts of each target, by its address, best first; `mark` is a hash of them. Every second restart begins with one, while they last."""

    source: str
    texts: Mapping[str, tuple[tuple[int, ...], ...]] = field(repr=False, compare=False)
    mark: str = ""

    @classmethod
    def of(cls, source: str, texts: Mapping[str, tuple[tuple[int, ...], ...]]) -> "Starts":
        """Starts with their hash."""
        return cls(source, texts, hashlib.sha256(repr(sorted(texts.items())).encode()).hexdigest()[:12])

    def ids(self, objective: Objective, most: int) -> Int[Tensor, "k n t"]:
        """The `most` first texts of every target of an objective; one that has fewer repeats them."""
        rows = [self.texts[str(target)] for target in objective.targets]
        count = min(max(map(len, rows)), most)
        return torch.tensor([[row[i % len(row)] for i in range(count)] for row in rows])

    def planted(
        self, theta: Float[Tensor, "k c t width"], ids: Int[Tensor, "k n t"], relaxation: Relaxation, objective: Objective
    ) -> Float[Tensor, "k c t width"]:
        """Theta with texts in place of every second random start. Words that may not be proposed stay as chance has them.

        A word gets about half of the probability under a softmax, so that the others are within reach.
        """
        restarts = range(0, theta.shape[1], 2)[: ids.shape[1]]
        equal = ids[..., None].to(theta.device) == objective.lexicon
        known, rows = equal.any(-1), equal.long().argmax(-1)
        planted = theta.clone()
        for number, restart in enumerate(restarts):
            part, here, row = theta[:, restart], known[:, number, :, None], rows[:, number]
            match relaxation:
                case Embeddings():
                    new = objective.table[row] + part
                case _:
                    height = 1.0 if isinstance(relaxation, Logits) else math.log(theta.shape[-1])
                    new = part + height * torch.nn.functional.one_hot(row, theta.shape[-1])
            planted[:, restart] = torch.where(here, new, part)
        return planted
