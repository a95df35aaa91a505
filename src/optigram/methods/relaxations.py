"""Seam 2: texts as free parameters theta that a gradient can climb (paper, section 4).

`table` [v d] holds the embeddings of the words that may be used; rows [k c t] are indices into it. If each text and
position has words of its own, the table is [k c t v d]; only relaxations with weights of words support that.
"""

import math
from collections.abc import Mapping
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
