"""The judge: what texts are worth to targets, exactly (`score`), as a differentiable relaxation (`relax`), and word by
word (`gradient`).

Axes: k targets, c texts per target, t free tokens, s all tokens (with the template), v words, d embedding width,
h site width; k1 is k, or 1 where all targets judge the same texts.
"""

import copy
import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from optigram.errors import InputError
from optigram.fluency import Fluency
from optigram.lexicon import lexicon
from optigram.listener import Listener, counted_places
from optigram.meter import Meter
from optigram.models.base import Model, in_blocks
from optigram.prefixes import Level, prefix_tree, sorted_order
from optigram.readouts import Readouts, View, readouts
from optigram.shapes import Float, Int
from optigram.targets import Target
from optigram.text import Template

ROWS = 128  # texts in one forward of `score`, at the most; fewer texts are filled up to a power of two
CHUNK = 1 << 22  # numbers of state that texts sharing their prefixes may hold at once


class SoftText(NamedTuple):
    """Mixtures of words: `embeds` [k1 c t d], and the `weights` [k1 c t v] that made them, where there are any."""

    embeds: Float[Tensor, "k1 c t d"]
    weights: Float[Tensor, "k1 c t v"] | None


class Scores(NamedTuple):
    """What texts are worth, float32 [k c].

    `activation` is the target's pooled number, in the model's own units; `surprisal` nats per token, where fluency was
    asked for. `merit` is what ranks the texts, where that is not the activation: less what fluency costs, and -inf
    for a text that may not be kept.
    """

    activation: Float[Tensor, "k c"]
    surprisal: Float[Tensor, "k c"] | None = None
    merit: Float[Tensor, "k c"] | None = None

    @property
    def value(self) -> Float[Tensor, "k c"]:
        """What is maximised."""
        return self.activation if self.merit is None else self.merit


class Objective:
    """Texts of `length` free words, judged by `targets` of `model`. Ids are the model's own, here and in all methods.

    `template` stands around the free words; None is what the model expects around every text. `fluency` is what is asked
    of the surprisal; with `must_survive` a text that does not survive decoding and encoding is worth -inf. `exact` gives the
    same model in float32, for the last word on what a search in half precision found. `lexicon` int64 [v] are the ids
    that may be proposed, `table` float32 [v d] their embeddings.
    """

    def __init__(
        self,
        model: Model,
        targets: Sequence[Target],
        length: int,
        template: Template | None = None,
        words: np.ndarray | None = None,
        fluency: Fluency | None = None,
        must_survive: bool = False,
        exact: Callable[[], Model] | None = None,
    ):
        if length < 1:
            raise InputError(f"expected a length of at least 1 word, got {length}")
        template = Template.bare(model.vocabulary) if template is None else template
        if template.length not in (None, length):
            raise InputError(f"the template's slots hold {template.length} words, but the length is {length}; leave --length out")
        self.targets, self.length, self.template = tuple(targets), length, template
        self.fluency, self.must_survive, self.exact = fluency, must_survive, exact
        self._words = lexicon(model.vocabulary) if words is None else words
        self._positions = len(template.fill([0] * length))
        for target in self.targets:
            if isinstance(target.pool, int) and target.pool >= self._positions:
                raise InputError(f"{target} reads position {target.pool}, but the text has positions 0 to {self._positions - 1}")
        self._see_through(model, "search")

    def _see_through(self, model: Model, view: View) -> None:
        """Set what hangs on the model and the view."""
        self.model, self.device = model, model.embedding.device
        self.view: View = view
        self.lexicon = torch.from_numpy(self._words).to(self.device)
        self.table = model.embedding.detach()[self.lexicon].float()
        self.meter = Meter.at_zero(len(self.targets))
        counted = counted_places(self.template, self.length, model.vocabulary)
        self._looked = torch.tensor(counted) if model.step is None else torch.ones(self._positions, dtype=torch.bool)
        self._readouts = readouts(model, self.targets, self._looked, view)
        self._survives = functools.lru_cache(maxsize=1 << 20)(model.vocabulary.survives)
        self._listener = None if self.fluency is None else Listener(self.fluency, model, self.template, self.length, self.lexicon)

    def viewed(self, view: View, model: Model | None = None) -> "Objective":
        """The same objective, with another view of latents that are off (`Readouts`), and of another model with the same sites."""
        other = copy.copy(self)
        other._see_through(model or self.model, view)
        return other

    @property
    def passes(self) -> int:
        """Forwards that a text costs: 1, and 1 more for its surprisal."""
        return 1 if self._listener is None else 2

    @property
    def hears_mixtures(self) -> bool:
        """Whether `relax` counts the surprisal."""
        return self._listener is not None and self._listener.hears_mixtures

    def by_source(self) -> list[list[int]]:
        """The numbers of the targets that read each set of sites, so that a batch may run one path of the model."""
        return [part.members for part in self._readouts]

    def only(self, members: Sequence[int]) -> "Objective":
        """The same objective for some of its targets, by number, with a meter of its own at zero."""
        part = copy.copy(self)
        part.targets = tuple(self.targets[i] for i in members)
        part.meter = Meter.at_zero(len(members))
        part._readouts = readouts(self.model, part.targets, self._looked, self.view)
        return part

    def score(self, ids: Int[Tensor, "k1 c t"]) -> Scores:
        """Exact activations of texts [k1 c t], without a gradient; and their surprisal, if fluency counts."""
        with torch.no_grad():
            inputs = self._surround(ids.to(self.device)[..., None], torch.arange(len(self.model.vocabulary))[:, None])[..., 0]
            activation = self._by_source(inputs, self._whole if self.model.step is None else self._by_prefix)
            if self._listener is None and not self.must_survive:
                return Scores(activation)
            merit, surprisal = activation, None
            if self._listener is not None:
                surprisal = self._listener.hard(inputs).expand_as(activation)
                self.meter.charge(forwards=float(inputs.shape[1]))
                merit = self._listener.merit(activation, surprisal)
            if self.must_survive:
                survive = [self._survives(tuple(text)) for text in inputs.flatten(0, 1).tolist()]
                alive = torch.tensor(survive, device=self.device).view(inputs.shape[:2])
                merit = merit.masked_fill(~alive, -torch.inf)
            return Scores(activation, surprisal, merit)

    def relax(self, text: SoftText) -> Scores:
        """Differentiable activations of soft texts; for one-hot mixtures they equal those of `score`, but for the -inf.

        The surprisal is left out where the language model has other tokens: it cannot read mixtures.
        """
        embeds = self._surround(text.embeds, self.model.embedding.detach().float())
        activation = self._by_source(embeds, self._soft)
        scores, passes = Scores(activation), 1
        if self._listener is not None and self.hears_mixtures:
            surprisal = self._listener.soft(embeds, text.weights).expand_as(activation)
            scores, passes = Scores(activation, surprisal, activation - self._listener.weight * surprisal), 2
        texts = float(activation.shape[1] * passes)
        self.meter.charge(forwards=texts)
        if scores.value.requires_grad:
            scores.value.register_hook(lambda _: self.meter.charge(backwards=2.0 * texts))
        return scores

    def gradient(self, ids: Int[Tensor, "k1 c t"]) -> Float[Tensor, "k1 c t v"]:
        """To first order, how the sum of values would change with the weight of each word: [k1 c t v].

        The gradient with respect to one-hot texts [k1 c t], for the words of `lexicon`. Words of the texts themselves may be
        outside the lexicon.
        """
        ids = ids.to(self.device)
        embeds = self.model.embedding.detach()[ids].float().requires_grad_()
        if not self.hears_mixtures:
            (slope,) = torch.autograd.grad(self.relax(SoftText(embeds, None)).value.sum(), embeds)
            return slope @ self.table.T
        weights = (ids[..., None] == self.lexicon).float().requires_grad_()
        slope, own = torch.autograd.grad(self.relax(SoftText(embeds, weights)).value.sum(), (embeds, weights))
        return slope @ self.table.T + own

    def _surround(self, free: Tensor, fixed: Tensor) -> Tensor:
        """Put the rows of `fixed` [v ...] for the template's ids around free ones [k1 c t ...]."""
        fixed = fixed.to(self.device)
        parts = []
        for piece in self.template.pieces(self.length):
            if isinstance(piece, range):
                parts.append(free[:, :, piece.start : piece.stop])
            else:
                parts.append(fixed[torch.tensor(piece, dtype=torch.int64, device=self.device)].expand(*free.shape[:2], -1, -1))
        return torch.cat(parts, dim=2)

    def _by_source(self, inputs: Tensor, run: Callable[[Tensor, list[Readouts]], Tensor]) -> Tensor:
        """Activations [k c] of inputs [k1 c ...]: each target's texts are run through the path it reads, and no other."""
        shared = len(inputs) == 1
        groups = [self._readouts] if shared else [[part] for part in self._readouts]
        values = torch.cat([run(inputs if shared else inputs[_members(parts)], parts) for parts in groups])
        order = [i for parts in groups for i in _members(parts)]
        return values if order == sorted(order) else values[torch.tensor(order, device=values.device).argsort()]

    def _soft(self, embeds: Float[Tensor, "k1 c s d"], parts: list[Readouts]) -> Float[Tensor, "m c"]:
        k1, c = embeds.shape[:2]
        states = self.model.read(embeds.flatten(0, 1).to(self.model.embedding.dtype), _sites(parts))
        members = None if k1 < len(_members(parts)) else torch.arange(k1, device=self.device).repeat_interleave(c)
        pooled = torch.cat([part.pooled(part.joined(states), members) for part in parts], dim=1)
        return pooled.T if members is None else pooled.view(k1, c)

    def _whole(self, ids: Int[Tensor, "k1 c s"], parts: list[Readouts]) -> Float[Tensor, "m c"]:
        k1, c, _ = ids.shape
        rows, shared = _with_owners(ids), k1 < len(_members(parts))

        def run(rows: Tensor) -> Tensor:
            states = self.model.read(self.model.embedding[rows[:, 1:]], _sites(parts))
            return torch.cat([part.pooled(part.joined(states), None if shared else rows[:, 0]) for part in parts], dim=1)

        values = in_blocks(run, rows, min(ROWS, 1 << max(len(rows) - 1, 7).bit_length()))
        self.meter.charge(forwards=self._of_members(parts, torch.full((k1,), float(c))))
        return values.T if shared else values.view(k1, c)

    def _by_prefix(self, ids: Int[Tensor, "k1 c s"], parts: list[Readouts]) -> Float[Tensor, "m c"]:
        k1, c, s = ids.shape
        rows = _with_owners(ids)
        order = sorted_order(rows)
        width = sum(part.weight.shape[2] for part in parts)
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
            states = dict(step(level.words, states, _sites(parts)))
            members = None if shared else level.owners
            for number, part in enumerate(parts):
                if position in part.positions:
                    values = part.at(part.joined(states), members)
                    pooled[number] = part.pool_on(pooled[number], values, position, members)
        return torch.cat([values for values in pooled if values is not None], dim=1)

    def _of_members(self, parts: list[Readouts], costs: Tensor) -> Tensor:
        """Costs [m or 1] of the members of `parts` as costs [k]."""
        found = torch.zeros(len(self.targets))
        found[_members(parts)] = costs
        return found


def _members(parts: list[Readouts]) -> list[int]:
    return [i for part in parts for i in part.members]


def _sites(parts: list[Readouts]) -> list[str]:
    return list(dict.fromkeys(site for part in parts for site in part.sites))


def _with_owners(ids: Int[Tensor, "k1 c s"]) -> Int[Tensor, "n w"]:
    """Texts [k1 c s] as rows [k1*c 1+s], each led by the number of its owner."""
    owners = torch.arange(len(ids), device=ids.device).repeat_interleave(ids.shape[1])
    return torch.cat([owners[:, None], ids.flatten(0, 1)], dim=1)
