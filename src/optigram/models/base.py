"""The seam between optigram and a network: what a model must offer so that any neuron of it can be a target."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from optigram.shapes import Bool, Float, Int, Shaped
from optigram.text.vocabulary import Vocabulary

States = Mapping[str, Tensor]


@dataclass(frozen=True)
class Linear:
    """A site that is a linear function of another: value = weight @ source + bias.

    A unit of such a site is a direction of its source, so one unit costs h products and the projection is never run.
    With a `softcap` c, as in Gemma 2, the value is c * tanh((weight @ source + bias) / c).
    """

    source: str
    weight: Float[Tensor, "width h"] = field(repr=False)
    bias: Float[Tensor, " width"] = field(repr=False)
    softcap: float | None = None


@dataclass(frozen=True)
class Site:
    """A place in a model with `width` units per position. `names` are those of the units: all of them, or none.

    `linear` is set for a projection, which `Model.read` need not give. `pre` are the sites of equal width that give this one unit by
    unit: f(first), or f(first) * second in a gated MLP, where f is an activation function that is 0 or nearly so below 0, such as GELU.
    """

    width: int
    names: tuple[str, ...] = field(default=(), repr=False)
    linear: Linear | None = None
    pre: tuple[str, ...] = field(default=(), repr=False)


def _serves_all(sites: Collection[str]) -> bool:
    return True


@dataclass(frozen=True)
class Step:
    """How a model continues texts from a cache, so that texts with a common prefix share the work on it.

    `run(ids, carried, sites)` takes the next ids [n r] of n texts and what is carried from the tokens before them
    ({name: [n ...]}, None at the start). It returns the states {site: [n r h]} and what to carry on. It is called without
    gradients. `carries(length)` is the count of numbers that are carried for one text of that length.

    `blocks` are the batch sizes that may be run, largest first, so that a text's states do not depend on the batch; empty:
    any size gives the same states. `overhead` is what a call costs beside its tokens, in tokens, and `copying` what it costs a
    call to take over what is carried for a token. `serves(sites)` tells whether the states at all of them are those of whole texts.
    """

    run: Callable[[Tensor, States | None, Collection[str]], tuple[States, States]]
    carries: Callable[[int], int]
    blocks: tuple[int, ...] = ()
    overhead: int = 0
    copying: float = 0.0
    serves: Callable[[Collection[str]], bool] = _serves_all


@runtime_checkable
class Model(Protocol):
    """A network whose units can be targets. Any object with these members is a model; it need not be a torch module.

    v is the size of the vocabulary, d the width of an embedding, b texts, s positions, h the width of a site.

    A model may also have `sample(count, generator) -> Iterator[str]`, by which it writes texts in its own way (see
    `optigram.models.sampling`), `dtype`, the floating type of its weights where that is not `embedding.dtype`, and `linearised()`, a
    context in which `read` gives the same states, with the gradients of a network that is made linear (see `optigram.models.relp`).
    """

    @property
    def name(self) -> str:
        """What the model is called in records and messages."""
        ...

    @property
    def vocabulary(self) -> Vocabulary:
        """Ids to text and back: v tokens, one per row of `embedding`."""
        ...

    @property
    def embedding(self) -> Float[Tensor, "v d"]:
        """What the network reads for each id (scales and projections included), without a gradient.

        Its device is where ids and embeddings are expected.
        """
        ...

    @property
    def sites(self) -> Mapping[str, Site]:
        """What can be targeted, by name. Every site is one that `read` gives, or is linear in one that it gives."""
        ...

    @property
    def attends(self) -> bool:
        """Whether positions attend to each other: the first one is then an attention sink, and a forward is expensive."""
        ...

    @property
    def step(self) -> Step | None:
        """How texts are continued from a cache; None for a model that reads whole texts only."""
        ...

    @property
    def fingerprint(self) -> str:
        """A hash of all weights. Equal weights give equal hashes, on any device and in any process."""
        ...

    def read(self, embeds: Float[Tensor, "b s d"], sites: Collection[str], keep: Bool[Tensor, "b s"] | None = None) -> States:
        """Run texts given as embeddings [b s d], differentiably; return the states {site: [b s h]} of sites that are not linear.

        `keep` [b s] marks the positions that count (None: all); texts are read as if the others were not there, and states
        at the others mean nothing. States are at least float32, on the device of `embeds`. Gradients reach `embeds` only.
        """
        ...


def pack_left(keep: Bool[Tensor, "b s"]) -> tuple[Int[Tensor, "b s"], Int[Tensor, "b s"]]:
    """The order [b s] that moves the positions that count to the left of each text, and the order that moves them back.

    Texts are then padded on the right only, and a network that counts positions from the left reads them as if unpadded.
    """
    order = (~keep).long().argsort(dim=1, stable=True)
    return order, order.argsort(dim=1)


def in_blocks(run: Callable[[Tensor], Tensor], rows: Shaped[Tensor, "n ..."], block: int) -> Shaped[Tensor, "n ..."]:
    """`run` over `rows` [n ...] in blocks of one fixed shape, the last one padded with copies of its last row.

    Matrix products round differently with the shape of a batch; with one shape, a row's result is independent of the batch.
    """
    count = len(rows)
    padded = torch.cat([rows, rows[-1:].expand(-count % block, *rows.shape[1:])])
    return torch.cat([run(part) for part in padded.split(block)])[:count]
