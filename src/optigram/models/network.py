"""Any torch network with an embedding layer, as a `base.Model`: read by hooks, and stopped when all is read."""

import functools
from collections.abc import Callable, Collection
from typing import Any

import torch
from torch import Tensor, nn

from optigram.errors import InputError
from optigram.models.base import States, Step, pack_left
from optigram.models.heads import Head
from optigram.models.hooks import Point, read_points, survey
from optigram.models.inputs import Inputs, find_inputs
from optigram.models.kv_cache import CachedReader
from optigram.models.module_state import Frozen, weights_fingerprint
from optigram.models.sites import Sites
from optigram.shapes import Bool, Float, Int
from optigram.text.vocabulary import Vocabulary

PROBE = 2, 11  # texts and tokens of the forward that finds the widths; few networks have 11 attention heads


class Network:
    """A torch module as a model. `module` is the whole network, whose paths name the sites; what is run is `body`.

    The module is left as it was found: it is `frozen` (see `module_state.Frozen`) during a read only, its parameters get no
    gradient, and no hook stays. It is read where its weights are. `dtype` is that of its embeddings; states are at least float32.
    `new_cache` makes an empty KV cache for `body`.
    """

    attends = True

    def __init__(
        self,
        name: str,
        module: nn.Module,
        vocabulary: Vocabulary,
        body: nn.Module,
        embedding: nn.Module,
        head: Head | None = None,
        new_cache: Callable[[], Any] | None = None,
    ):
        self.name, self.vocabulary, self.module = name, vocabulary, module
        self._new_cache, self.frozen = new_cache, Frozen(module)
        with self.frozen, torch.no_grad():
            ids = ordinary_ids(vocabulary, PROBE, seed=0)
            self.inputs: Inputs = find_inputs(name, body, embedding, ids)
            self._matrix, self.dtype = self.inputs.matrix, self.inputs.dtype
            ids = ids.to(self._matrix.device)
            widths = survey(module, lambda: self.inputs.take_embeds(self._matrix[ids]), PROBE)
            logits = None if head is None else head.site(module, self.inputs, ids, vocabulary.tokens)
        self.sites = Sites(module, widths, logits)

    @property
    def embedding(self) -> Float[Tensor, "v d"]:
        """The effective embedding matrix [v d]."""
        return self._matrix

    @property
    def fingerprint(self) -> str:
        """A hash of the weights as they were at the first call."""
        return self._fingerprint

    @functools.cached_property
    def _fingerprint(self) -> str:
        return weights_fingerprint(self.module, "module.")

    @property
    def step(self) -> Step | None:
        """Continuing with a KV cache, for the sites where a trial shows that this gives the states of whole texts."""
        return self._step

    @functools.cached_property
    def _step(self) -> Step | None:
        if self._new_cache is None or not self.inputs.cached:
            return None
        ids = ordinary_ids(self.vocabulary, PROBE, seed=2).to(self._matrix.device)
        sites = [site for site in self.sites.canonical if self.sites[site].linear is None]
        reader = CachedReader(self.module, self.inputs, self.frozen, self._points, self._new_cache)
        return reader.step(ids, sites) if sites else None

    def read(self, embeds: Float[Tensor, "b s d"], sites: Collection[str], keep: Bool[Tensor, "b s"] | None = None) -> States:
        """States {site: [b s h]} of texts [b s d]; the network stops after the deepest of `sites`.

        Raises InputError for a site that cannot be read.
        """
        points = self._points(sites)
        if keep is None or bool(keep.all()):
            return self._read(embeds, points, None)
        if bool((keep[:, 1:] <= keep[:, :-1]).all()):  # padded on the right only
            return self._read(embeds, points, keep)
        order, back = pack_left(keep)
        packed = embeds.gather(1, order[..., None].expand_as(embeds))
        states = self._read(packed, points, keep.gather(1, order))
        return {site: state.gather(1, back[..., None].expand_as(state)) for site, state in states.items()}

    def _points(self, sites: Collection[str]) -> dict[str, Point]:
        return {site: self._point(site) for site in sites}

    def _point(self, site: str) -> Point:
        try:
            return self.sites.point(site)
        except KeyError as error:
            raise InputError(f"{self.name} has no site {site!r} that can be read; see `optigram sites`") from error

    def _read(self, embeds: Tensor, points: dict[str, Point], mask: Tensor | None) -> dict[str, Tensor]:
        shape = embeds.shape[0], embeds.shape[1]
        with self.frozen:
            states = read_points(self.module, points, lambda: self.inputs.take_embeds(embeds, mask), shape)
        return {site: state.to(embeds.device) for site, state in states.items()}  # layers may be on several devices


def ordinary_ids(vocabulary: Vocabulary, shape: tuple[int, int], seed: int) -> Int[Tensor, "b s"]:
    """Random ids [b s] of tokens that are not special; special ones may have side effects. Raises InputError if there are none."""
    ordinary = torch.tensor([i for i in range(len(vocabulary)) if i not in vocabulary.special])
    if not len(ordinary):
        raise InputError("the tokenizer has no ordinary token; its files are missing beside the weights, or belong to another model")
    return ordinary[torch.randint(len(ordinary), shape, generator=torch.Generator().manual_seed(seed))]
