"""Seam 2: texts as free parameters theta that a gradient can climb (paper, section 4).

`table` [v d] are the embeddings of the words that may be used; rows are numbers of its rows, [k c t].
"""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from optigram.noise import Streams
from optigram.objective import SoftText


class Relaxation(Protocol):
    """Seam 2. A frozen dataclass of settings; theta holds all that changes."""

    def start(self, streams: Streams, length: int, table: Tensor) -> Tensor:
        """The first theta [k c t d] or [k c t v]."""
        ...

    def soften(self, theta: Tensor, table: Tensor, step: int, streams: Streams) -> SoftText:
        """The soft texts that theta stands for at a step: c of them for each target, or a multiple of c."""
        ...

    def harden(self, theta: Tensor, table: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """The discrete texts nearest to theta: rows [k c t], and notes on how near they are [k c]."""
        ...


@dataclass(frozen=True)
class Start:
    """How theta starts: uniform in +-spread (authors' code: Keras's default, 0.05) or normal with that deviation."""

    spread: float = 0.05
    normal: bool = True

    def draw(self, streams: Streams, *shape: int) -> Tensor:
        """Random numbers [k c *shape]."""
        return streams.normal(*shape) * self.spread if self.normal else (streams.uniform(*shape) * 2 - 1) * self.spread


@dataclass(frozen=True)
class Embeddings:
    """emb: theta are embeddings [k c t d], free of any word; the nearest word by cosine is taken afterwards."""

    begin: Start = Start()

    def start(self, streams: Streams, length: int, table: Tensor) -> Tensor:
        return self.begin.draw(streams, length, table.shape[1])

    def soften(self, theta: Tensor, table: Tensor, step: int, streams: Streams) -> SoftText:
        return SoftText(theta, None)

    def harden(self, theta: Tensor, table: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        normed = torch.nn.functional.normalize
        cosine, rows = (normed(theta, dim=-1) @ normed(table, dim=-1).T).max(dim=-1)
        return rows, {"cosine": cosine.mean(-1)}


@dataclass(frozen=True)
class Logits:
    """logit: theta are weights of words [k c t v] without bounds; a soft word is theta @ table."""

    begin: Start = Start()

    def start(self, streams: Streams, length: int, table: Tensor) -> Tensor:
        return self.begin.draw(streams, length, len(table))

    def soften(self, theta: Tensor, table: Tensor, step: int, streams: Streams) -> SoftText:
        return SoftText(theta @ table, theta)

    def harden(self, theta: Tensor, table: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        return theta.argmax(dim=-1), {}


@dataclass(frozen=True)
class Softmax:
    """smx: theta are logits of words [k c t v]; a soft word is softmax(theta) @ table."""

    begin: Start = Start()

    def start(self, streams: Streams, length: int, table: Tensor) -> Tensor:
        return self.begin.draw(streams, length, len(table))

    def soften(self, theta: Tensor, table: Tensor, step: int, streams: Streams) -> SoftText:
        weights = theta.softmax(dim=-1)
        return SoftText(weights @ table, weights)

    def harden(self, theta: Tensor, table: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        return theta.argmax(dim=-1), {}


@dataclass(frozen=True)
class Gumbel:
    """gbl: softmax((theta + gumbel noise) / temperature), the temperature falling by `cooling` a step to `coldest`.

    `samples` noises a text and step. `floor` is added to the probabilities before their logarithm, as the authors' code
    does; None leaves out the detour over probabilities, which changes nothing else. `fresh` draws all noise anew.
    """

    hottest: float = 2.0
    cooling: float = 0.99995
    coldest: float = 0.1
    samples: int = 1
    floor: float | None = None
    fresh: bool = False
    begin: Start = Start()

    def start(self, streams: Streams, length: int, table: Tensor) -> Tensor:
        return self.begin.draw(streams, length, len(table))

    def temperature(self, step: int) -> float:
        """The temperature of a step, counted from 0."""
        return max(self.hottest * self.cooling**step, self.coldest)

    def soften(self, theta: Tensor, table: Tensor, step: int, streams: Streams) -> SoftText:
        shape = (self.samples, *theta.shape[2:])
        noise = streams.gumbel(*shape) if self.fresh else streams.pooled_gumbel(*shape)
        logits = theta if self.floor is None else (theta.softmax(dim=-1) + self.floor).log()
        weights = ((logits[:, :, None] + noise) / self.temperature(step)).softmax(dim=-1).flatten(1, 2)
        return SoftText(weights @ table, weights)

    def harden(self, theta: Tensor, table: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        return theta.argmax(dim=-1), {}
