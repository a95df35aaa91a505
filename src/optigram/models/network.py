"""Any torch network with an embedding layer, behind the seam `base.Model`: read by hooks, stopped when all is read."""

import functools
from collections.abc import Callable, Collection
from typing import Any

import torch
from torch import Tensor, nn

from optigram.errors import InputError
from optigram.models.base import States, Step, pack_left
from optigram.models.heads import Head
from optigram.models.hooks import Point, read_points, survey
from optigram.models.inputs import Inputs, effective_matrix, find_inputs
from optigram.models.kv_cache import CachedReader, try_cached
from optigram.models.sites import Sites
from optigram.shapes import Bool, Float, Int
from optigram.text.vocabulary import Vocabulary

PROBE = 2, 11  # texts and tokens of the one forward that finds out the widths; few networks have 11 attention heads


class Network(nn.Module):
    """`module` is the whole network, which names the sites; what is run is the body of its `inputs`.

    `embedding` is the effective matrix [v d]. It and all states are float32, also where the weights are of half
    precision. A network is frozen and in evaluation mode from here on. `new_cache` makes what `body` may keep keys and
    values in.
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
        super().__init__()
        self.new_cache = new_cache
        self.name, self.vocabulary = name, vocabulary
        self.module = module.eval().requires_grad_(False)
        self._matrix = effective_matrix(embedding)
        self.dtype = next(embedding.parameters()).dtype
        ids = ordinary_ids(vocabulary, PROBE, seed=0).to(self._matrix.device)
        self.inputs: Inputs = find_inputs(name, body, embedding, self._matrix, ids)
        with torch.no_grad():
            widths = survey(module, lambda: self.inputs.take_embeds(self._matrix[ids].to(self.dtype)), PROBE)
            logits = None if head is None else head.site(module, self.inputs, ids, vocabulary.tokens)
        self.sites = Sites(module, widths, logits)
        self.eval()

    @property
    def step(self) -> Step | None:
        """By keys and values that are carried on, where trying shows that this is the same as reading whole."""
        return self._tried

    @functools.cached_property
    def _tried(self) -> Step | None:
        if self.new_cache is None or not self.inputs.cached:
            return None
        ids = ordinary_ids(self.vocabulary, PROBE, seed=2).to(self._matrix.device)
        return try_cached(self, CachedReader(self, self.new_cache), ids)

    @property
    def embedding(self) -> Float[Tensor, "v d"]:
        """The effective embedding matrix [v d]."""
        return self._matrix

    def read(self, embeds: Float[Tensor, "b s d"], sites: Collection[str], keep: Bool[Tensor, "b s"] | None = None) -> States:
        """States {site: [b s h]} of texts [b s d]; the network stops after the deepest of `sites`."""
        points = self.points(sites)
        if keep is None or bool(keep.all()):
            return self._read(embeds, points, None)
        if bool((keep[:, 1:] <= keep[:, :-1]).all()):  # all that counts is in front already
            return self._read(embeds, points, keep)
        order, back = pack_left(keep)
        front = embeds.gather(1, order[..., None].expand_as(embeds))
        states = self._read(front, points, keep.gather(1, order))
        return {site: state.gather(1, back[..., None].expand_as(state)) for site, state in states.items()}

    def points(self, sites: Collection[str]) -> dict[str, Point]:
        """Where sites are read; an InputError for one that is not."""
        return {site: self._point(site) for site in sites}

    def _point(self, site: str) -> Point:
        try:
            return self.sites.point(site)
        except KeyError as error:
            raise InputError(f"{self.name} has no site {site!r} that can be read; see `optigram sites`") from error

    def _read(self, embeds: Tensor, points: dict[str, Point], mask: Tensor | None) -> dict[str, Tensor]:
        shape = embeds.shape[0], embeds.shape[1]
        return read_points(self.module, points, lambda: self.inputs.take_embeds(embeds.to(self.dtype), mask), shape)


def ordinary_ids(vocabulary: Vocabulary, shape: tuple[int, int], seed: int) -> Int[Tensor, "b s"]:
    """Random ids of tokens that are not special; the special ones may do special things."""
    ordinary = torch.tensor([i for i in range(len(vocabulary)) if i not in vocabulary.special])
    if not len(ordinary):
        raise InputError("the tokenizer knows no ordinary token; its files are missing beside the weights, or it is of another model")
    return ordinary[torch.randint(len(ordinary), shape, generator=torch.Generator().manual_seed(seed))]
