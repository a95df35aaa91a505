"""The inputs of a network: how ids, and mixtures of tokens that no id stands for, are given to it."""

import contextlib
import inspect
import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from optigram.errors import InputError
from optigram.models.hooks import Point
from optigram.shapes import Bool, Float, Int

CHUNK = 4096  # rows of the effective matrix that are computed at a time
CLOSE = 1e-3  # of the largest output; the same arithmetic twice, so what remains is rounding


@dataclass(frozen=True)
class Inputs:
    """`body` is called; `embedding` is the layer within it that turns ids into embeddings of type `dtype`; `matrix` is all of them.

    `direct`: whether `body` takes embeddings as `inputs_embeds`; if not, the output of `embedding` is replaced. `masks`: whether
    it takes an `attention_mask`. `cached`: whether it would fill a KV cache, which is wanted with a `cache` only.

    Where embeddings are not taken directly, the ids beside them are `filler`, and `end` at the last position that counts, for a
    network that pools there. `padding` is the length to which every text is padded, and the id that fills it, or None.
    """

    body: nn.Module
    embedding: nn.Module
    matrix: Float[Tensor, "v d"]
    dtype: torch.dtype
    direct: bool
    masks: bool
    cached: bool
    filler: int = 1
    end: int | None = None
    padding: tuple[int, int] | None = None

    def length(self, positions: int) -> int:
        """How many positions the network runs for a text of `positions` tokens."""
        return positions if self.padding is None else max(positions, self.padding[0])

    def take_ids(self, ids: Int[Tensor, "b s"], mask: Bool[Tensor, "b s"] | None = None) -> object:
        """Run the network on texts as ids."""
        if self.padding is not None:
            length, fill = self.padding
            ids, mask = ids if mask is None else torch.where(mask, ids, fill), None
            ids = nn.functional.pad(ids, (0, max(length - ids.shape[1], 0)), value=fill)
        return self.body(ids, **self._settings(mask))

    def take_embeds(self, embeds: Float[Tensor, "b s d"], mask: Bool[Tensor, "b s"] | None = None, cache: Any = None) -> object:
        """Run the network on texts as embeddings; a `cache` holds keys and values of the tokens before them, and is extended."""
        embeds = embeds.to(self.dtype)
        if self.padding is not None:
            embeds, mask = self._padded(embeds, mask), None
        settings = self._settings(mask) if cache is None else {"past_key_values": cache, "use_cache": True}
        if self.direct:
            return self.body(inputs_embeds=embeds, **settings)
        with Point.replaced(self.embedding, embeds):
            return self.body(self._ids_beside(embeds, mask), **settings)

    def output(self, ids: Int[Tensor, "b s"]) -> Tensor:
        """The first tensor of the network's output: its last states, or its logits."""
        return _tensors(self.take_ids(ids))[0]

    def effective_matrix(self) -> Float[Tensor, "v d"]:
        """`matrix`, computed again."""
        return _effective_matrix(self.embedding)[0]

    def _padded(self, embeds: Tensor, mask: Tensor | None) -> Tensor:
        assert self.padding is not None
        length, fill = self.padding
        row = self.matrix[fill].to(embeds)
        embeds = embeds if mask is None else torch.where(mask[..., None], embeds, row)
        return torch.cat([embeds, row.expand(len(embeds), max(length - embeds.shape[1], 0), -1)], dim=1)

    def _ids_beside(self, embeds: Tensor, mask: Tensor | None) -> Tensor:
        """Ids for embeddings that take their place."""
        ids = torch.full(embeds.shape[:2], self.filler, device=embeds.device)
        if self.end is not None:
            last = torch.full((len(ids), 1), ids.shape[1] - 1, device=ids.device) if mask is None else mask.long().sum(1, keepdim=True) - 1
            ids.scatter_(1, last, self.end)
        return ids

    def _settings(self, mask: Tensor | None) -> dict[str, Any]:
        if mask is not None and not self.masks:
            raise InputError("expected texts of one length, for this network takes no attention_mask; got texts of several")
        return ({} if mask is None else {"attention_mask": mask.long()}) | ({"use_cache": False} if self.cached else {})

    @classmethod
    def of(
        cls,
        name: str,
        body: nn.Module,
        embedding: nn.Module,
        ids: Int[Tensor, "b s"],
        end: int | None = None,
        padding: tuple[int, int] | None = None,
    ) -> "Inputs":
        """The inputs through which embeddings act as the ids they stand for, tried on `ids`.

        Raises InputError where there is none: such a network uses ids besides their embeddings.
        """
        matrix, dtype = _effective_matrix(embedding)
        ids = ids.to(matrix.device)
        known = inspect.signature(body.forward).parameters
        masks, cached = "attention_mask" in known, "use_cache" in known
        for direct in (True, False) if "inputs_embeds" in known else (False,):
            inputs = cls(body, embedding, matrix, dtype, direct, masks, cached, int(ids[0, 0]), end, padding)
            with _unless_refused(), torch.no_grad():
                hard, soft = _tensors(inputs.take_ids(ids)), _tensors(inputs.take_embeds(matrix[ids]))
                _check_numbers(name, body, hard[0])
                if len(hard) == len(soft) and all(map(_alike, hard, soft)):
                    return inputs
        raise InputError(
            f"{name} does not read embeddings alone: embeddings and the ids they stand for give different outputs; "
            "a search cannot bypass its embedding, so take a model without per-layer embeddings, or name its embedding layer"
        )


def _alike(one: Tensor, other: Tensor) -> bool:
    """Whether two outputs are the same up to rounding."""
    if one.shape != other.shape:
        return False
    never = one.isneginf()
    one, other = one.masked_fill(never, 0), torch.where(never & other.isneginf(), 0, other)
    return bool((one - other).abs().max() <= CLOSE * one.abs().max())


@contextlib.contextmanager
def _unless_refused() -> Iterator[None]:
    """Pass over what a network cannot do; what is wrong with it is raised."""
    try:
        yield
    except InputError:
        raise
    except (ValueError, NotImplementedError, AttributeError, TypeError):
        pass


def _check_numbers(name: str, body: nn.Module, output: Tensor) -> None:
    """Raise InputError where a network gives NaN or infinity on ordinary tokens; name the first weights that are not finite.

    Logits of -infinity are those of tokens that a network never writes.
    """
    wrong = int((output.isnan() | output.isposinf()).sum())
    if not wrong:
        return
    weights = (where for where, part in body.named_parameters() if part.is_floating_point() and not bool(part.isfinite().all()))
    first = next(weights, None)
    blame = f"the weights {first} are not finite" if first else f"all weights are finite, so {output.dtype} is too narrow for it"
    raise InputError(
        f"{name} gives NaN or infinity on ordinary tokens, at {wrong} of {output.numel()} numbers: {blame}; "
        "expected finite numbers: check the checkpoint, or load it in float32"
    )


def _effective_matrix(embedding: nn.Module) -> tuple[Float[Tensor, "v d"], torch.dtype]:
    """What the network reads for each id [v d], at least float32, and the type in which its embedding layer gives it.

    That is the layer's output and not its weight, so scales count, and weights may be offloaded or quantised. Raises InputError
    for weights on the meta device, which have no numbers.
    """
    weight = next(table for table in itertools.chain(embedding.parameters(), embedding.buffers()) if table.ndim == 2)
    rows = torch.arange(len(weight), device="cpu" if weight.is_meta else weight.device)
    with torch.no_grad(), contextlib.suppress(NotImplementedError, RuntimeError if weight.is_meta else NotImplementedError):
        parts = [embedding(part) for part in rows.split(CHUNK)]
        if not all(isinstance(part, Tensor) for part in parts):
            raise InputError(
                "expected an embedding layer that gives a tensor, got one that gives several values; the network is not supported"
            )
        matrix = torch.cat(parts)
        if not matrix.is_meta:
            wide = matrix.float() if matrix.dtype in (torch.float16, torch.bfloat16) else matrix
            same = weight.device == wide.device and weight.dtype == wide.dtype and torch.equal(wide, weight)
            return weight.detach() if same else wide, matrix.dtype
    raise InputError("expected weights in memory, got an embedding on the meta device, without numbers; load the model's weights first")


def _tensors(output: object) -> list[Tensor]:
    """The floating tensors of a network's output: its last states, logits, states of the text; or the first within it."""
    if isinstance(output, Tensor):
        return [output]
    parts = list(output.values() if isinstance(output, Mapping) else output)  # pyright: ignore[reportArgumentType]
    found = [part for part in parts if isinstance(part, Tensor) and part.is_floating_point()]
    return found or _tensors(parts[0])
