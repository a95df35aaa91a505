"""The judge: what texts are worth to targets, exactly (`score`), as a differentiable relaxation (`relax`), and word by
word (`gradient`); and the meter that counts what judging costs.

Axes: k targets, c texts per target, t free tokens, s all tokens (with the template), v words, d embedding width,
h site width; k1 is k, or 1 where all targets judge the same texts.
"""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from optigram.errors import InputError
from optigram.models.base import Model, in_blocks
from optigram.prefixes import Level, prefix_tree, sorted_order
from optigram.readouts import Readouts, readouts
from optigram.shapes import Bool, Float, Int
from optigram.targets import Target
from optigram.text import Template, lexicon

ROWS = 128  # texts in one forward of `score`, so that every forward has the same shape
CHUNK = 1 << 22  # numbers of state that texts sharing their prefixes may hold at once


class SoftText(NamedTuple):
    """Mixtures of words: `embeds` [k1 c t d], and the `weights` [k1 c t v] that made them, where there are any."""

    embeds: Float[Tensor, "k1 c t d"]
    weights: Float[Tensor, "k1 c t v"] | None


class Scores(NamedTuple):
    """`activation` float32 [k c]: the pooled readout times the target's sign, in the model's own units."""

    activation: Float[Tensor, "k c"]


@dataclass
class Meter:
    """What each target [k] has cost, in forward-equivalents: the forward of one text is 1, its backward 2.

    Texts that share a prefix share the work on it, and only what is run counts: one new last word of five costs a fifth.
    Texts that all targets judge are charged to each in full. `paying` [k] marks the targets whose search goes on.
    """

    forwards: Float[Tensor, " k"]
    backwards: Float[Tensor, " k"]
    paying: Bool[Tensor, " k"]

    @classmethod
    def at_zero(cls, targets: int) -> "Meter":
        """A meter for so many targets, all of them paying."""
        return cls(
            torch.zeros(targets, dtype=torch.float64), torch.zeros(targets, dtype=torch.float64), torch.ones(targets, dtype=torch.bool)
        )

    @property
    def spent(self) -> Float[Tensor, " k"]:
        """Forward-equivalents [k]."""
        return self.forwards + self.backwards

    def charge(self, forwards: Float[Tensor, " k"] | float = 0.0, backwards: float = 0.0) -> None:
        """Add a cost to the targets that pay."""
        self.forwards += self.paying * forwards
        self.backwards += self.paying * backwards


class Objective:
    """Texts of `length` free words, judged by `targets` of `model`. Ids are the model's own, here and in all methods.

    `lexicon` int64 [v] are the ids that may be proposed, `table` float32 [v d] their embeddings.
    """

    def __init__(
        self,
        model: Model,
        targets: Sequence[Target],
        length: int,
        template: Template | None = None,
        words: np.ndarray | None = None,
    ):
        if length < 1:
            raise InputError(f"expected a length of at least 1 word, got {length}")
        self.model, self.targets, self.length, self.template = model, tuple(targets), length, template or Template()
        self.device = model.embedding.device
        self.lexicon = torch.from_numpy(lexicon(model.vocabulary) if words is None else words).to(self.device)
        self.table = model.embedding.detach()[self.lexicon]
        self.meter = Meter.at_zero(len(self.targets))
        self._positions = len(self.template.fill([0] * length))
        for target in self.targets:
            if isinstance(target.pool, int) and target.pool >= self._positions:
                raise InputError(f"{target} reads position {target.pool}, but the text has positions 0 to {self._positions - 1}")
        self._readouts = readouts(model, self.targets, self._positions)

    def by_source(self) -> list[list[int]]:
        """The numbers of the targets that read each source site, so that a batch may run one path of the model."""
        return [part.members for part in self._readouts]

    def only(self, members: Sequence[int]) -> "Objective":
        """The same objective for some of its targets, by number, with a meter of its own at zero."""
        part = copy.copy(self)
        part.targets = tuple(self.targets[i] for i in members)
        part.meter = Meter.at_zero(len(members))
        part._readouts = readouts(self.model, part.targets, self._positions)
        return part

    def score(self, ids: Int[Tensor, "k1 c t"]) -> Scores:
        """Exact activations of texts [k1 c t], without a gradient."""
        with torch.no_grad():
            inputs = self._surround(ids.to(self.device)[..., None], torch.arange(len(self.model.vocabulary))[:, None])[..., 0]
            return Scores(self._by_source(inputs, self._whole if self.model.step is None else self._by_prefix))

    def relax(self, text: SoftText) -> Scores:
        """Differentiable activations of soft texts; for one-hot mixtures they equal those of `score`."""
        activation = self._by_source(self._surround(text.embeds, self.model.embedding.detach()), self._soft)
        texts = activation.shape[1]
        self.meter.charge(forwards=float(texts))
        if activation.requires_grad:
            activation.register_hook(lambda _: self.meter.charge(backwards=2.0 * texts))
        return Scores(activation)

    def gradient(self, ids: Int[Tensor, "k1 c t"]) -> Float[Tensor, "k1 c t v"]:
        """To first order, how the sum of activations would change with the weight of each word: [k1 c t v].

        The gradient with respect to one-hot texts [k1 c t], for the words of `lexicon`.
        """
        embeds = self.model.embedding.detach()[ids.to(self.device)].requires_grad_()
        (slope,) = torch.autograd.grad(self.relax(SoftText(embeds, None)).activation.sum(), embeds)
        return slope @ self.table.T

    def _surround(self, free: Tensor, fixed: Tensor) -> Tensor:
        """Put the rows of `fixed` [v ...] for the template's ids around free ones [k1 c t ...]."""
        before, after = (
            fixed.to(self.device)[torch.tensor(part, dtype=torch.int64, device=self.device)].expand(*free.shape[:2], -1, -1)
            for part in (self.template.prefix, self.template.suffix)
        )
        return torch.cat([before, free, after], dim=2)

    def _by_source(self, inputs: Tensor, run: Callable[[Tensor, list[Readouts]], Tensor]) -> Tensor:
        """Activations [k c] of inputs [k1 c ...]: each target's texts are run through the path it reads, and no other."""
        shared = len(inputs) == 1
        groups = [self._readouts] if shared else [[part] for part in self._readouts]
        values = torch.cat([run(inputs if shared else inputs[_members(parts)], parts) for parts in groups])
        order = [i for parts in groups for i in _members(parts)]
        return values if order == sorted(order) else values[torch.tensor(order, device=values.device).argsort()]

    def _soft(self, embeds: Float[Tensor, "k1 c s d"], parts: list[Readouts]) -> Float[Tensor, "m c"]:
        states = self.model.read(embeds.flatten(0, 1), [part.source for part in parts])
        return torch.cat([part.of_texts(states[part.source].unflatten(0, embeds.shape[:2])) for part in parts])

    def _whole(self, ids: Int[Tensor, "k1 c s"], parts: list[Readouts]) -> Float[Tensor, "m c"]:
        embedding, found = self.model.embedding, []
        for part in parts:
            states = in_blocks(lambda rows, at=part.source: self.model.read(embedding[rows], [at])[at], ids.flatten(0, 1), ROWS)
            found.append(part.of_texts(states.unflatten(0, ids.shape[:2])))
        self.meter.charge(forwards=self._of_members(parts, torch.full((len(ids),), float(ids.shape[1]))))
        return torch.cat(found)

    def _by_prefix(self, ids: Int[Tensor, "k1 c s"], parts: list[Readouts]) -> Float[Tensor, "m c"]:
        k1, c, s = ids.shape
        owners = torch.arange(k1, device=self.device).repeat_interleave(c)
        rows = torch.cat([owners[:, None], ids.flatten(0, 1)], dim=1)
        order = sorted_order(rows)
        width = sum(self.model.sites[part.source].width for part in parts)
        found, cells = [], torch.zeros(k1)
        for chunk in rows[order].split(max(CHUNK // width, 1)):
            tree, leaves = prefix_tree(chunk)
            found.append(self._climb(tree, parts, shared=k1 == 1)[leaves])
            cells += sum(torch.bincount(level.owners, minlength=k1).cpu() for level in tree)
        self.meter.charge(forwards=self._of_members(parts, cells / s))
        values = torch.cat(found)
        values = torch.empty_like(values).index_copy_(0, order, values)
        return values.T if k1 == 1 else values.view(k1, c)

    def _climb(self, tree: list[Level], parts: list[Readouts], shared: bool) -> Tensor:
        """Activations of the texts at the ends of a tree: [n m] if all members read each text, else [n 1]."""
        step = self.model.step
        assert step is not None
        states: dict[str, Tensor] | None = None
        pooled: list[Tensor | None] = [None] * len(parts)
        for position, level in enumerate(tree):
            if states is not None:
                states = {site: state[level.parents] for site, state in states.items()}
                pooled = [None if values is None else values[level.parents] for values in pooled]
            states = dict(step(level.words, states, [part.source for part in parts]))
            members = None if shared else level.owners
            for number, part in enumerate(parts):
                if position in part.positions:
                    values = part.at(states[part.source], members)
                    pooled[number] = part.pool_on(pooled[number], values, position, members)
        return torch.cat([values for values in pooled if values is not None], dim=1)

    def _of_members(self, parts: list[Readouts], costs: Tensor) -> Tensor:
        """Costs [m or 1] of the members of `parts` as costs [k]."""
        found = torch.zeros(len(self.targets))
        found[_members(parts)] = costs
        return found


def _members(parts: list[Readouts]) -> list[int]:
    return [i for part in parts for i in part.members]
