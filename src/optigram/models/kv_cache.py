"""Continuing texts in a causal transformer: its KV cache is carried from one call to the next.

Whether that gives the states of whole texts is tried, not looked up: sliding windows, positions and masks of many kinds may
prevent it.
"""

import functools
import operator
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from optigram.models.base import States, Step
from optigram.models.hooks import Point, read_points
from optigram.models.inputs import Inputs
from optigram.models.module_state import Frozen
from optigram.shapes import Int

BLOCKS = 128, 32, 8  # texts per call; measured: one token each of 128 texts runs at nearly full speed
LEAST, PARTED, MOST = 8, 1 << 25, 64  # overhead of a call in tokens; measured on a processor: large for small layers
LAUNCHES = 1024  # the same on an accelerator, where small calls cost nearly what large ones do; not measured
# of the largest state at a site, in single and in half precision. Rounding, which depends on the number of threads, reaches 1.3e-4
# in SmolLM2's last block; wrong positions or attention windows differ by far more at some site
CLOSE, CLOSE_HALF = 1e-3, 5e-2
FRONT = 3  # tokens of the trial that are run at once


@dataclass(frozen=True)
class CachedReader:
    """Continues texts with a cache of transformers, as `base.Step.run`.

    `points` says where sites are read, `new_cache` makes an empty cache. Carried are the keys and values [n heads tokens d] of
    the layers that were run.
    """

    module: nn.Module
    inputs: Inputs
    frozen: Frozen
    points: Callable[[Collection[str]], dict[str, Point]]
    new_cache: Callable[[], Any]

    def run(self, ids: Int[Tensor, "n r"], carried: States | None, sites: Collection[str]) -> tuple[States, States]:
        """States {site: [n r h]} of the next ids [n r], and what to carry on."""
        cache, points = self.new_cache(), self.points(sites)
        for layer in range(len(carried or ()) // 2):
            assert carried is not None
            cache.update(carried[f"keys.{layer}"], carried[f"values.{layer}"], layer)
        embeds = self.inputs.matrix[ids]
        with self.frozen:
            states = read_points(self.module, points, lambda: self.inputs.take_embeds(embeds, cache=cache), (ids.shape[0], ids.shape[1]))
        filled = [(number, layer) for number, layer in enumerate(cache.layers) if layer.keys is not None]
        return (
            {site: state.to(ids.device) for site, state in states.items()},
            # on one device, as callers pick rows of all layers alike; where layers are on several, the trial fails
            {f"{kind}.{number}": part.to(ids.device) for number, layer in filled for kind, part in _parts(layer)},
        )

    def step(self, ids: Int[Tensor, "b s"], sites: Collection[str], whole: Callable[[], States]) -> Step | None:
        """The step of the network, if its states at `sites` on `ids` are those that `whole` gives; else None."""
        if not sites:
            return None
        with torch.no_grad():
            expected = whole()
            try:
                found, carried = self.run(ids[:, :FRONT], None, sites)
                parts = [found]
                for tokens in ids[:, FRONT:].T:
                    found, carried = self.run(tokens[:, None], carried, sites)
                    parts.append(found)
            except Exception:  # whatever prevents it
                return None
        close = CLOSE_HALF if self.inputs.dtype in (torch.float16, torch.bfloat16) else CLOSE
        for site, state in expected.items():
            distance = (torch.cat([found[site] for found in parts], 1) - state).abs().max()
            if not distance <= close * state.abs().max():
                return None
        width = sum(part[0].numel() for part in carried.values()) // ids.shape[1]
        return Step(self.run, functools.partial(operator.mul, width), BLOCKS, _overhead(self, len(carried) // 2))


def _overhead(reader: CachedReader, layers: int) -> int:
    if reader.inputs.matrix.device.type != "cpu":
        return LAUNCHES
    weights = sum(part.numel() for part in reader.module.parameters() if part.ndim > 1 and len(part) != len(reader.inputs.matrix))
    return min(LEAST + PARTED * max(layers, 1) // max(weights, 1), MOST)


def _parts(layer: Any) -> tuple[tuple[str, Tensor], tuple[str, Tensor]]:
    return ("keys", layer.keys), ("values", layer.values)
