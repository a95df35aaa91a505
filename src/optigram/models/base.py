"""The seam between optigram and a network: what a model must offer so that any neuron of it can be a target."""

import hashlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from optigram.shapes import Bool, Float, Int, Shaped
from optigram.text.vocabulary import Vocabulary

States = Mapping[str, Tensor]


@dataclass(frozen=True)
class Linear:
    """A site that is a linear function of another: value = weight @ source + bias.

    A unit of such a site is a direction of its source, so one unit costs h products and never the whole projection.
    With a `softcap`, as Gemma 2 has one, the value is softcap * tanh(that / softcap).
    """

    source: str
    weight: Float[Tensor, "width h"]
    bias: Float[Tensor, " width"]
    softcap: float | None = None


@dataclass(frozen=True)
class Site:
    """A place in a model with `width` units, which may have names."""

    width: int
    names: tuple[str, ...] = ()
    linear: Linear | None = None


@dataclass(frozen=True)
class Step:
    """How a model reads on from where it stopped, so that texts with a common beginning share the work on it.

    `run` takes the next ids [n r] of texts, and what is carried from the words before them, {name: [n ...]} (None: there
    are none); it gives the states {site: [n r h]} of the sites named, and what is to be carried on. `carries` are the
    numbers held for a text of so many words. `blocks` are the numbers of texts that are run at once, the largest first
    (none: any number, whatever the company), `overhead` the words for which it could run longer in the time that a call costs.
    """

    run: Callable[[Tensor, States | None, Collection[str]], tuple[States, States]]
    carries: Callable[[int], int]
    blocks: tuple[int, ...] = ()
    overhead: int = 0


@runtime_checkable
class Model(Protocol):
    """Seam 1. `embedding` is the effective matrix [v d]: what the network really reads for each id.

    `step` is how it reads on; a model that cannot do that has None.
    """

    @property
    def name(self) -> str:
        """What the model is called in records."""
        ...

    @property
    def vocabulary(self) -> Vocabulary:
        """Ids and text."""
        ...

    @property
    def embedding(self) -> Float[Tensor, "v d"]:
        """See above."""
        ...

    @property
    def sites(self) -> Mapping[str, Site]:
        """What can be targeted, by name."""
        ...

    @property
    def attends(self) -> bool:
        """Whether words attend to each other: the very first position is an attention sink then, and a forward is heavy."""
        ...

    @property
    def step(self) -> Step | None:
        """How it reads on, if it can; see above."""
        ...

    def read(self, embeds: Float[Tensor, "b s d"], sites: Collection[str], keep: Bool[Tensor, "b s"] | None = None) -> States:
        """Run texts given as embeddings [b s d]; give {site: [b s h]} for sites that are not linear in another.

        `keep` [b s] marks the positions that count (None: all). Values at the others mean nothing.
        """
        ...


def pack_left(keep: Bool[Tensor, "b s"]) -> tuple[Int[Tensor, "b s"], Int[Tensor, "b s"]]:
    """The order [b s] that brings the positions that count to the front of each text, and the order that puts them back.

    So texts are padded on the right only, and a network that counts positions from the front reads them as if alone.
    """
    order = (~keep).long().argsort(dim=1, stable=True)
    return order, order.argsort(dim=1)


def in_blocks(run: Callable[[Tensor], Tensor], rows: Shaped[Tensor, "n ..."], block: int) -> Shaped[Tensor, "n ..."]:
    """`run` over `rows` [n ...] in blocks of one fixed shape, the last one padded with copies of its last row.

    Matrix products round differently with the shape of a batch; with one shape, a row's result does not depend on
    how many others are asked for.
    """
    count = len(rows)
    padded = torch.cat([rows, rows[-1:].expand(-count % block, *rows.shape[1:])])
    return torch.cat([run(part) for part in padded.split(block)])[:count]


def model_fingerprint(model: object) -> str:
    """A hash of all weights, the same for the same numbers wherever they are stored."""
    assert isinstance(model, nn.Module)
    found = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        found.update(name.encode())
        found.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())  # numpy knows no bfloat16
    return found.hexdigest()
