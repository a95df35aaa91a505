"""Seam 2: texts as free parameters theta that a gradient can climb (paper, section 4).

`table` [v d] holds the embeddings of the words that may be used; rows [k c t] are indices into it. If each text and
position has words of its own, the table is [k c t v d]; only relaxations with weights of words support that.
"""

import functools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from optigram.methods.settings import check_settings
from optigram.objective.rng import Streams
from optigram.objective.scores import SoftText
from optigram.shapes import Float, Int

Theta = Float[Tensor, "k c t width"]  # width is d for embeddings, v for words
Table = Float[Tensor, "*lists v d"]  # lists: k c t, or nothing
Rows = Int[Tensor, "k m t"]
Given = Int[Tensor, "k c t"] | None  # rows to start from, -1 for any word
NEGLIGIBLE = 1e-30  # weights of gbl at low temperatures that count as 0: a product with denormal numbers takes twenty times as long
SPAN = 64  # words whose largest weight is looked for at once
MARGIN = 2.0  # by how much the logit of a word to start from exceeds the log-sum-exp of all others


@runtime_checkable
class Relaxation(Protocol):
    """Seam 2. A frozen dataclass of settings; theta holds all state. All members are required."""

    @property
    def samples(self) -> int:
        """Soft texts per restart and step."""
        ...

    @property
    def mixes(self) -> bool:
        """Whether soft words are mixtures of words: weights of at least 0 that sum to 1."""
        ...

    def schedule(self, step: int) -> Mapping[str, float]:
        """Numbers that change over the steps, such as a temperature, for display."""
        ...

    def start(self, streams: Streams, length: int, table: Table, given: Given = None) -> Theta:
        """The first theta [k c t d] or [k c t v], at the given words or at random."""
        ...

    def soften(self, theta: Theta, table: Table, step: int, streams: Streams) -> SoftText:
        """The soft texts of theta at a step: `samples` for each of the c restarts of a target, those of a restart together."""
        ...

    def harden(self, theta: Theta, table: Table, streams: Streams) -> tuple[Rows, dict[str, Tensor]]:
        """Discrete texts of theta, and notes on each: first the nearest c, then any number of further c's."""
        ...

    def settle(self, theta: Theta, step: int) -> None:
        """Project theta in place onto the allowed values, after a step."""
        ...


@dataclass(frozen=True)
class Start:
    """How theta starts: uniform in +-spread (authors' code: Keras's default, 0.05), or normal with that standard deviation.

    With a `lead`, the logit of one random word at each position is higher by that much (GBDA, Guo et al. 2021).
    """

    spread: float = 0.05
    normal: bool = True
    lead: float = 0.0

    def __post_init__(self) -> None:
        check_settings(self, spread=0.0, lead=0.0)

    def draw(self, streams: Streams, *shape: int) -> Tensor:
        """Random numbers [k c *shape]."""
        return streams.normal(*shape) * self.spread if self.normal else (streams.uniform(*shape) * 2 - 1) * self.spread

    def logits(self, streams: Streams, length: int, words: int, given: Given, lead: float) -> Theta:
        """Random logits, those of the given words higher by `lead`."""
        theta = self.draw(streams, length, words)
        if self.lead:
            drawn = streams.integers(words, length)
            given, lead = drawn if given is None else torch.where(given < 0, drawn, given), self.lead
        if given is None:
            return theta
        return theta.scatter_add(-1, given.clamp(min=0)[..., None], (given >= 0)[..., None] * lead)


def _nearest(theta: Theta, table: Table) -> tuple[Int[Tensor, "k c t"], Float[Tensor, "k c t"]]:
    """The nearest words by cosine, and the cosines."""
    cosine, rows = SoftText.cosines(theta, table).max(dim=-1)
    return rows, cosine


@dataclass(frozen=True)
class Embeddings:
    """emb: theta are free embeddings [k c t d]; they harden to the nearest words by cosine.

    `projected` is PEZ (Wen et al. 2023): the model reads the nearest words, and theta follows the gradient there.
    """

    begin: Start = Start()
    projected: bool = False

    samples = 1
    mixes = False

    def schedule(self, step: int) -> Mapping[str, float]:
        return {}

    def start(self, streams: Streams, length: int, table: Table, given: Given = None) -> Theta:
        theta = self.begin.draw(streams, length, table.shape[1])
        if self.projected:
            theta = theta + table[streams.integers(table.shape[-2], length)]
        return theta if given is None else torch.where(given[..., None] < 0, theta, table[given.clamp(min=0)])

    def soften(self, theta: Theta, table: Table, step: int, streams: Streams) -> SoftText:
        if not self.projected:
            return SoftText(theta, None)
        rows, _ = _nearest(theta.detach(), table)
        return SoftText(theta + (table[rows] - theta).detach(), None)

    def harden(self, theta: Theta, table: Table, streams: Streams) -> tuple[Rows, dict[str, Tensor]]:
        rows, cosine = _nearest(theta, table)
        return rows, {"cosine": cosine.mean(-1)}

    def settle(self, theta: Theta, step: int) -> None:
        pass


@dataclass(frozen=True)
class Logits:
    """logit: theta are unbounded weights of words [k c t v]; a soft word is theta @ table."""

    begin: Start = Start()

    samples = 1
    mixes = False

    def schedule(self, step: int) -> Mapping[str, float]:
        return {}

    def start(self, streams: Streams, length: int, table: Table, given: Given = None) -> Theta:
        return self.begin.logits(streams, length, table.shape[-2], given, lead=1.0)

    def soften(self, theta: Theta, table: Table, step: int, streams: Streams) -> SoftText:
        return SoftText(SoftText.mixed(theta, table), theta)

    def harden(self, theta: Theta, table: Table, streams: Streams) -> tuple[Rows, dict[str, Tensor]]:
        return theta.argmax(dim=-1), {}

    def settle(self, theta: Theta, step: int) -> None:
        pass


@dataclass(frozen=True)
class Softmax:
    """smx: theta are logits of words [k c t v]; a soft word is softmax(theta) @ table."""

    begin: Start = Start()

    samples = 1
    mixes = True

    def schedule(self, step: int) -> Mapping[str, float]:
        return {}

    def start(self, streams: Streams, length: int, table: Table, given: Given = None) -> Theta:
        return self.begin.logits(streams, length, table.shape[-2], given, lead=math.log(table.shape[-2]) + MARGIN)

    def soften(self, theta: Theta, table: Table, step: int, streams: Streams) -> SoftText:
        weights = theta.softmax(dim=-1)
        return SoftText(SoftText.mixed(weights, table), weights)

    def harden(self, theta: Theta, table: Table, streams: Streams) -> tuple[Rows, dict[str, Tensor]]:
        return theta.argmax(dim=-1), {}

    def settle(self, theta: Theta, step: int) -> None:
        pass


@dataclass(frozen=True)
class Gumbel:
    """gbl: softmax((theta + gumbel noise) / temperature). The temperature starts at `hottest` and falls by the factor `cooling`
    per step down to `coldest`.

    `samples` noise samples per text and step. `floor` is added to the probabilities before their logarithm, as in the
    authors' code; None skips that detour over probabilities. `fresh` draws all noise anew. Besides the text of the
    largest logits, `draws` texts drawn from the softmax of theta are proposed. `straight` is straight-through: the model
    reads the word of the largest weight alone, with the gradient of the mixture (Jang et al. 2017).
    """

    hottest: float = 2.0
    cooling: float = 0.99995
    coldest: float = 0.1
    samples: int = 1
    floor: float | None = None
    fresh: bool = False
    draws: int = 0
    begin: Start = Start()
    straight: bool = False

    mixes = True

    def __post_init__(self) -> None:
        check_settings(self, hottest=0.0, cooling=0.0, coldest=0.0, samples=1, draws=0)

    def start(self, streams: Streams, length: int, table: Table, given: Given = None) -> Theta:
        return self.begin.logits(streams, length, table.shape[-2], given, lead=math.log(table.shape[-2]) + MARGIN)

    def schedule(self, step: int) -> Mapping[str, float]:
        return {"temperature": self.temperature(step)}

    def temperature(self, step: int) -> float:
        """The temperature at a step, counted from 0."""
        return max(self.hottest * self.cooling**step, self.coldest)

    def soften(self, theta: Theta, table: Table, step: int, streams: Streams) -> SoftText:
        embeds, weights = _GumbelMixture.apply(theta, table, self, step, streams)  # pyright: ignore[reportGeneralTypeIssues]
        return SoftText(embeds.flatten(1, 2), weights.flatten(1, 2))

    def noisy(self, theta: Tensor, streams: Streams, change: Callable[[Tensor], object] = lambda noisy: None) -> Tensor:
        """Logits plus gumbel noise [k c samples t v], after what `change` does to them in place."""
        logits = theta if self.floor is None else (theta.softmax(dim=-1) + self.floor).log()
        if not self.fresh:
            return streams.plus_gumbel(logits, self.samples, change)
        noisy = logits[:, :, None] + streams.gumbel(self.samples, *theta.shape[2:])
        change(noisy)
        return noisy

    def harden(self, theta: Theta, table: Table, streams: Streams) -> tuple[Rows, dict[str, Tensor]]:
        nearest = _heaviest(theta)
        if not self.draws:
            return nearest, {}
        drawn = _heaviest(streams.plus_gumbel(theta, self.draws))  # [k c draws t]
        return torch.cat([nearest, drawn.transpose(1, 2).flatten(1, 2)], dim=1), {}

    def settle(self, theta: Theta, step: int) -> None:
        pass


class _GumbelMixture(torch.autograd.Function):
    """weights = softmax(noisy / temperature) and embeds = weights @ table, from theta.

    The same as autograd, with fewer passes over the vocabulary: the temperature divides the small gradient of `embeds`
    instead of the large one of `weights`, and noise is added and divided in place.
    """

    @staticmethod
    def forward(ctx, theta: Tensor, table: Tensor, relaxation: Gumbel, step: int, streams: Streams):
        ctx.set_materialize_grads(False)
        ctx.temperature, ctx.floor = relaxation.temperature(step), relaxation.floor
        weights = relaxation.noisy(theta, streams, functools.partial(_weigh, temperature=ctx.temperature))
        ctx.save_for_backward(theta, table, weights)
        if relaxation.straight:
            rows = weights.argmax(dim=-1)
            heaviest = torch.zeros_like(weights).scatter_(-1, rows[..., None], 1.0)
            return table[rows] if table.dim() == 2 else SoftText.mixed(heaviest, table), heaviest
        return SoftText.mixed(weights, table), weights

    @staticmethod
    def backward(ctx, *slopes: Tensor | None):
        of_embeds, of_weights = slopes
        theta, table, weights = ctx.saved_tensors
        slope = None if of_embeds is None else SoftText.per_word(of_embeds.contiguous() / ctx.temperature, table)
        if of_weights is not None:
            slope = of_weights / ctx.temperature if slope is None else slope.add_(of_weights, alpha=1 / ctx.temperature)
        slope = _softmax_backward(slope, weights)
        slope = slope[:, :, 0] if slope.shape[2] == 1 else slope.sum(dim=2)
        if ctx.floor is not None:
            probabilities = theta.softmax(dim=-1)
            slope = _softmax_backward(slope / (probabilities + ctx.floor), probabilities)
        return slope, None, None, None, None


def _weigh(noisy: Tensor, temperature: float) -> None:
    """Put in place of noisy logits the weights that they stand for."""
    torch.softmax(noisy.div_(temperature), dim=-1, out=noisy)
    torch.threshold_(noisy, NEGLIGIBLE, 0.0)


def _heaviest(weights: Float[Tensor, "*n v"]) -> Int[Tensor, "*n"]:
    """The first word of the largest weight: of the first span of words that has it. The library's own search takes twice as long."""
    words = weights.shape[-1]
    whole = words - words % SPAN
    spans = weights[..., :whole].unflatten(-1, (-1, SPAN)).amax(-1)
    if whole < words:
        spans = torch.cat([spans, weights[..., whole:].amax(-1, keepdim=True)], dim=-1)
    rows = spans.argmax(-1, keepdim=True) * SPAN + torch.arange(SPAN, device=weights.device)
    rows = rows.clamp(max=words - 1)
    return rows.gather(-1, weights.gather(-1, rows).argmax(-1, keepdim=True))[..., 0]


def _softmax_backward(slope: Tensor, softmax: Tensor) -> Tensor:
    """The gradient with respect to x, given the gradient `slope` with respect to softmax(x), in its place and in one pass."""
    return torch.ops.aten._softmax_backward_data.out(slope, softmax, -1, softmax.dtype, grad_input=slope)
