"""Continuing texts in a causal transformer: its KV cache is carried from one call to the next.

Whether that gives the states of whole texts is tried for each site, not looked up: sliding windows, positions and masks of many
kinds may prevent it from some layer on.
"""

import functools
import operator
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from optigram.models.base import States, Step
from optigram.models.hooks import Point
from optigram.models.inputs import Inputs
from optigram.models.module_state import Frozen
from optigram.models.trials import Trials
from optigram.shapes import Int

BLOCKS = 128, 32, 8  # texts per call; measured: one token each of 128 texts runs at nearly full speed
LEAST, PARTED, MOST = 8, 1 << 25, 64  # overhead of a call in tokens; measured on a processor: large for small layers
COPIED = 80  # products that take as long as copying a number of the cache: it is picked, joined and read, some four times in all
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
            states = Point.read_all(self.module, points, lambda: self.inputs.take_embeds(embeds, cache=cache), (ids.shape[0], ids.shape[1]))
        filled = [(number, layer) for number, layer in enumerate(cache.layers) if layer.keys is not None]
        return (
            {site: state.to(ids.device) for site, state in states.items()},
            # on one device, as callers pick rows of all layers alike; where layers are on several, the trial fails
            {f"{kind}.{number}": part.to(ids.device) for number, layer in filled for kind, part in _parts(layer)},
        )

    def step(self, ids: Int[Tensor, "b s"], sites: Collection[str], trials: Trials) -> Step | None:
        """The step of the network for those of `sites`, or of others, whose states on `ids` are those of whole texts.

        None if this is so at none of `sites` that depends on the tokens before: a step would spare no work.
        """
        known = dict(trials.answer(f"use of {_question(sites)}", lambda: self._of_use(ids, sites), _are_verdicts))
        served = [site for site, same in known.items() if same]
        if not served:
            return None
        with torch.no_grad():
            _, carried = self.run(ids, None, served)
        width = sum(part[0].numel() for part in carried.values()) // ids.shape[1]
        layers, weights = max(len(carried) // 2, 1), self._weights()
        overhead = LAUNCHES if self.inputs.matrix.device.type != "cpu" else min(LEAST + PARTED * layers // weights, MOST)
        serves = _Trial(self, ids, trials, known).serves
        return Step(self.run, functools.partial(operator.mul, width), BLOCKS, overhead, COPIED * width / weights, serves)

    def _of_use(self, ids: Int[Tensor, "b s"], sites: Collection[str]) -> dict[str, bool]:
        """As `same`; nothing if all sites that could be served depend on no token before."""
        other = torch.cat([ids.flip(0)[:, :-1], ids[:, -1:]], 1)  # other tokens before the last one
        known = self.same(ids, sites)
        served = [site for site, same in known.items() if same]
        if not served:
            return {}
        with torch.no_grad():
            before, after = self._whole(ids, served), self._whole(other, served)
        spares = any(not torch.equal(before[site][:, -1], after[site][:, -1]) for site in served)
        return known if spares else {}

    def same(self, ids: Int[Tensor, "b s"], sites: Collection[str]) -> dict[str, bool]:
        """For each of `sites`, whether its states on `ids`, continued token by token, are those of whole texts."""
        with torch.no_grad():
            expected = self._whole(ids, sites)
            try:
                found, carried = self.run(ids[:, :FRONT], None, sites)
                parts = [found]
                for tokens in ids[:, FRONT:].T:
                    found, carried = self.run(tokens[:, None], carried, sites)
                    parts.append(found)
            except Exception:  # whatever prevents it
                return dict.fromkeys(sites, False)
        close = CLOSE_HALF if self.inputs.dtype in (torch.float16, torch.bfloat16) else CLOSE
        distances = {site: (torch.cat([found[site] for found in parts], 1) - state).abs().max() for site, state in expected.items()}
        return {site: bool(distances[site] <= close * state.abs().max()) for site, state in expected.items()}

    def _whole(self, ids: Int[Tensor, "b s"], sites: Collection[str]) -> States:
        embeds, shape = self.inputs.matrix[ids], (ids.shape[0], ids.shape[1])
        with self.frozen:
            states = Point.read_all(self.module, self.points(sites), lambda: self.inputs.take_embeds(embeds), shape)
        return {site: state.to(ids.device) for site, state in states.items()}

    def _weights(self) -> int:
        """How many weights a token is multiplied with."""
        return sum(part.numel() for part in self.module.parameters() if part.ndim > 1 and len(part) != len(self.inputs.matrix)) or 1


@dataclass(frozen=True)
class _Trial:
    """What is known of sites that were tried on `ids`; others are tried when they are asked for."""

    reader: CachedReader
    ids: Int[Tensor, "b s"]
    trials: Trials
    known: dict[str, bool]

    def serves(self, sites: Collection[str]) -> bool:
        """Whether texts can be continued for all of these sites."""
        if unknown := [site for site in sites if site not in self.known]:
            self.known.update(self.trials.answer(_question(unknown), lambda: self.reader.same(self.ids, unknown), _are_verdicts))
        return all(self.known[site] for site in sites)


def _question(sites: Collection[str]) -> str:
    return f"prefixes at {list(sites)} on {torch.get_num_threads()} threads"


def _are_verdicts(told: Any) -> bool:
    return isinstance(told, dict) and all(isinstance(one, bool) for one in told.values())


def _parts(layer: Any) -> tuple[tuple[str, Tensor], tuple[str, Tensor]]:
    return ("keys", layer.keys), ("values", layer.values)
