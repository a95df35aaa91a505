"""Word by word through a causal transformer: keys and values of the words so far are carried from one call to the next.

Whether a network can do that is tried, not looked up: attention windows, positions and masks of many kinds may stand against it.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from optigram.models.base import States, Step
from optigram.models.hooks import read_points
from optigram.shapes import Int

if TYPE_CHECKING:
    from optigram.models.network import Network

BLOCKS = 128, 32, 8  # texts in a call; measured: one word each of 128 texts is nearly at full speed
LEAST, PARTED, MOST = 8, 1 << 25, 64  # what a call costs beside its words, in words; measured on a processor: large for small layers
LAUNCHES = 1024  # the same elsewhere, where small calls cost next to what large ones do; not measured
CLOSE, CLOSE_HALF = 1e-4, 5e-2  # of the largest state at a site: rounding of weights in single and in half precision
FRONT = 3  # words of the trial that are run at once


@dataclass(frozen=True)
class CachedReader:
    """Reads on with a cache of transformers. What is carried are keys and values of the layers that were run, [n heads words d]."""

    network: Network
    new_cache: Callable[[], Any]

    def read_on(self, ids: Int[Tensor, "n r"], carried: States | None, sites: Collection[str]) -> tuple[States, States]:
        """See `base.Step`."""
        network, cache, points = self.network, self.new_cache(), self.network.points(sites)
        for layer in range(len(carried or ()) // 2):
            assert carried is not None
            cache.update(carried[f"keys.{layer}"], carried[f"values.{layer}"], layer)
        embeds = network.embedding[ids].to(network.dtype)
        run = lambda: network.inputs.take_embeds(embeds, cache=cache)  # noqa: E731
        states = read_points(network.module, points, run, (ids.shape[0], ids.shape[1]))
        filled = [(number, layer) for number, layer in enumerate(cache.layers) if layer.keys is not None]
        return states, {f"{kind}.{number}": part for number, layer in filled for kind, part in _parts(layer)}


def try_cached(network: Network, cached: CachedReader, ids: Int[Tensor, "b s"]) -> Step | None:
    """The step of a network, if it gives the states of texts that are read whole; else None."""
    sites = [site for site in network.sites.canonical if network.sites[site].linear is None]
    if not sites:
        return None
    with torch.no_grad():
        whole = network.read(network.embedding[ids], sites)
        try:
            found, carried = cached.read_on(ids[:, :FRONT], None, sites)
            parts = [found]
            for words in ids[:, FRONT:].T:
                found, carried = cached.read_on(words[:, None], carried, sites)
                parts.append(found)
        except Exception:  # whatever stands against it
            return None
    close = CLOSE_HALF if network.dtype in (torch.float16, torch.bfloat16) else CLOSE
    for site, state in whole.items():
        distance = (torch.cat([found[site] for found in parts], 1) - state).abs().max()
        if not distance <= close * state.abs().max():
            return None
    width = sum(part[0].numel() for part in carried.values()) // ids.shape[1]
    return Step(cached.read_on, functools.partial(operator.mul, width), BLOCKS, _overhead(network, len(carried) // 2))


def _overhead(network: Network, layers: int) -> int:
    if network.embedding.device.type != "cpu":
        return LAUNCHES
    weights = sum(part.numel() for part in network.module.parameters() if part.ndim > 1 and len(part) != len(network.embedding))
    return min(LEAST + PARTED * max(layers, 1) // max(weights, 1), MOST)


def _parts(layer: Any) -> tuple[tuple[str, Tensor], tuple[str, Tensor]]:
    return ("keys", layer.keys), ("values", layer.values)
