"""Exact values of discrete texts: by the model, or by what answers in its place, and whole sites that are read beside the targets."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from optigram.models.base import Model
from optigram.objective.blocks import Blocks
from optigram.objective.forward import members_of, read, reads_on
from optigram.objective.functions import Groups
from optigram.objective.surprisal import Surprisal
from optigram.shapes import Float, Int

Answer = Callable[[Tensor, Groups], tuple[Tensor, Tensor]]
Beside = tuple[Groups, Callable[[Tensor], None]]


@dataclass(frozen=True)
class Exact:
    """How discrete texts are scored. `ends` and `deterministic` are those of `read`; `answer` and `beside` of the objective."""

    model: Model
    blocks: Blocks
    ends: Sequence[int]
    deterministic: bool
    answer: Answer | None
    beside: Beside | None

    def values(
        self, inputs: Int[Tensor, "k1 c s"], parts: Groups, owned: bool, joint: Surprisal | None
    ) -> tuple[Float[Tensor, "m c o"], Float[Tensor, " k1"]]:
        """Activations of the members of `parts`, the surprisal that the same forward gives, and what they cost in forwards."""
        own, others, see = members_of(parts), (), None
        if self.beside is not None and not owned and len(inputs) == 1 and all(part.by_prefix is not None for part in parts):
            others, see = self.beside
        together = reads_on(self.model, others, joint) == reads_on(self.model, parts, joint)
        if self.answer is None:
            asked = [*parts, *others] if together else parts
            values, cost = read(self.model, inputs, asked, self.ends, self.blocks, self.deterministic, owned, joint)
        else:
            values, cost = self.answer(inputs, parts)
            nats = () if joint is None else (joint.hard(inputs).expand_as(values),)
            values = torch.stack([values, *nats], dim=-1)
        if see is not None:
            seen = values[len(own) :] if together else read(self.model, inputs, others, self.ends, self.blocks, self.deterministic)[0]
            see(seen[..., 0])
        return values[: len(own)], cost
