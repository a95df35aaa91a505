"""The inputs of a network: how ids, and mixtures of words that no id stands for, are given to it."""

import contextlib
import inspect
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from optigram.errors import InputError
from optigram.models.hooks import replaced
from optigram.shapes import Bool, Float, Int

CHUNK = 4096  # rows of the effective matrix that are computed at a time
CLOSE = 1e-3  # of the largest output; the same arithmetic twice, so what remains is rounding


@dataclass(frozen=True)
class Inputs:
    """`body` is called; `embedding` is the layer within it that turns ids into embeddings.

    `direct`: whether it takes embeddings as `inputs_embeds`; if not, what the layer gives is replaced. `masks`: whether it
    takes an `attention_mask`. `cached`: whether it would keep keys and values, which is wanted with a `cache` only.
    """

    body: nn.Module
    embedding: nn.Module
    direct: bool
    masks: bool
    cached: bool

    def take_ids(self, ids: Int[Tensor, "b s"], mask: Bool[Tensor, "b s"] | None = None) -> object:
        """Run the network on texts as ids."""
        return self.body(ids, **self._settings(mask))

    def take_embeds(self, embeds: Float[Tensor, "b s d"], mask: Bool[Tensor, "b s"] | None = None, cache: Any = None) -> object:
        """Run the network on texts as embeddings; a `cache` holds keys and values of the words before them, and is filled further."""
        settings = self._settings(mask) if cache is None else {"past_key_values": cache, "use_cache": True}
        if self.direct:
            return self.body(inputs_embeds=embeds, **settings)
        anything = torch.ones(embeds.shape[:2], dtype=torch.int64, device=embeds.device)
        with replaced(self.embedding, embeds):
            return self.body(anything, **settings)

    def _settings(self, mask: Tensor | None) -> dict[str, Any]:
        if mask is not None and not self.masks:
            raise InputError("this network takes no attention_mask; give it texts of one length")
        return ({} if mask is None else {"attention_mask": mask.long()}) | ({"use_cache": False} if self.cached else {})


def effective_matrix(embedding: nn.Module) -> Tensor:
    """What the network really reads for each id [v d]: not the weights of the layer, but what it makes of them."""
    weight = next(embedding.parameters())
    with torch.no_grad():
        rows = torch.arange(len(weight), device=weight.device)
        matrix = torch.cat([embedding(part) for part in rows.split(CHUNK)])
    matrix = matrix.float() if matrix.dtype in (torch.float16, torch.bfloat16) else matrix
    return weight.detach() if matrix.dtype == weight.dtype and torch.equal(matrix, weight) else matrix


def find_inputs(name: str, body: nn.Module, embedding: nn.Module, matrix: Float[Tensor, "v d"], ids: Int[Tensor, "b s"]) -> Inputs:
    """The inputs through which embeddings act as the ids they stand for, tried on `ids`.

    Raises InputError where there is none: such a network looks at ids besides their embeddings.
    """
    known = inspect.signature(body.forward).parameters
    masks, cached = "attention_mask" in known, "use_cache" in known
    for direct in (True, False) if "inputs_embeds" in known else (False,):
        inputs = Inputs(body, embedding, direct, masks, cached)
        with contextlib.suppress(ValueError, NotImplementedError), torch.no_grad():
            if _agree(inputs, matrix, ids):
                return inputs
    raise InputError(
        f"{name} does not read embeddings alone: it makes something else of them than of the ids they stand for; "
        "a search cannot bypass its embedding, so take a model without per-layer embeddings, or name its embedding layer"
    )


def _agree(inputs: Inputs, matrix: Tensor, ids: Tensor) -> bool:
    dtype = next(inputs.embedding.parameters()).dtype
    hard, soft = first_tensor(inputs.take_ids(ids)), first_tensor(inputs.take_embeds(matrix[ids].to(dtype)))
    return hard.shape == soft.shape and bool((hard - soft).abs().max() <= CLOSE * hard.abs().max())


def first_tensor(output: object) -> Tensor:
    """The first tensor of what a network gives: its last states, or its logits."""
    while not isinstance(output, Tensor):
        output = next(iter(output.values() if isinstance(output, dict) else output))  # pyright: ignore[reportArgumentType, reportCallIssue]
    return output
