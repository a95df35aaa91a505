"""Any torch network with an embedding layer, as a `base.Model`: read by hooks, and stopped when all is read."""

import functools
import re
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor, nn

from optigram.errors import InputError
from optigram.models.base import States, Step, pack_left
from optigram.models.bodies import Body
from optigram.models.heads import Head, ScoreHead
from optigram.models.hooks import Point
from optigram.models.inputs import Inputs
from optigram.models.kv_cache import CachedReader
from optigram.models.module_state import Frozen
from optigram.models.relp import relp_rules
from optigram.models.sites import Sites
from optigram.models.trials import Trials
from optigram.shapes import Bool, Float, Int
from optigram.text.vocabulary import Vocabulary

EXPERTS = re.compile(r"\bexperts\b")
CLOSE = 1e-3  # of the largest state, between a text alone and padded
PROBE = 2, 11  # texts and tokens of the forward that finds the widths; few networks have 11 attention heads


class Network:
    """A torch module as a model. `module` is the whole network, whose paths name the sites; what is run is `body`.

    The module is left as it was found: it is `frozen` (see `module_state.Frozen`) during a read only, its parameters get no
    gradient, and no hook stays. It is read where its weights are. `dtype` is that of its embeddings; states are at least float32.
    `new_cache` makes an empty KV cache for `body`. `remark` is what a user should know, or "". `routed`: it has experts, which compute
    the tokens of all texts of a batch together, so texts are read one at a time.
    """

    attends = True

    def __init__(
        self,
        name: str,
        module: nn.Module,
        vocabulary: Vocabulary,
        body: Body,
        new_cache: Callable[[], Any] | None = None,
        remark: str = "",
    ):
        self.name, self.vocabulary, self.module, self.remark = name, vocabulary, module, remark
        self._new_cache, self.frozen = new_cache, Frozen(module)
        self.routed = any(EXPERTS.search(path) for path, _ in module.named_modules())
        with self.frozen, torch.no_grad():
            ids = self.probe(PROBE, seed=0)
            end = vocabulary.suffix[-1] if vocabulary.suffix else None
            self.inputs: Inputs = Inputs.of(name, body.module, body.embedding, ids, end, body.padding)
            self._matrix, self.dtype = self.inputs.matrix, self.inputs.dtype
            ids = ids.to(self._matrix.device)
            widths, repeated = self._survey(ids)
            heads = [head.site(module, self.inputs, ids, vocabulary.tokens) for head in body.heads if isinstance(head, Head)]
            logits = next((site for site in heads if site is not None), None)
            finders = [head for head in body.heads if isinstance(head, ScoreHead) and logits is None]
            scores = finders[0].find(module, self.inputs, ids, widths, vocabulary.tokens) if finders else {}
            self.sites = Sites(module, widths, logits, scores, repeated, functools.partial(self._chains, ids))

    def _survey(self, ids: Tensor) -> tuple[dict[Point, int], dict[Point, int]]:
        """The widths of all points, as `Point.survey`; a state per text that is as wide as the text is long is tried again."""

        def at(ids: Tensor) -> tuple[dict[Point, int], dict[Point, int]]:
            return Point.survey(
                self.module, lambda: self.inputs.take_embeds(self._matrix[ids]), (len(ids), self.inputs.length(ids.shape[1]))
            )

        widths, repeated = at(ids)
        if any(point.whole and width == ids.shape[1] for point, width in widths.items()):
            other = at(ids[:, 2:])[0]
            widths = {point: width for point, width in widths.items() if not point.whole or other.get(point) == width}
        return widths, repeated

    def _chains(self, ids: Tensor, ends: list[Point], begins: list[Point]) -> bool:
        """Whether a forward gives the same states at the first points as at the second: those of blocks that follow each other."""
        points = {f"{number} {side}": point for side, row in (("end", ends), ("begin", begins)) for number, point in enumerate(row)}
        states = self._read(self._matrix[ids], points, None)
        return all(torch.equal(states[f"{number} end"], states[f"{number} begin"]) for number in range(len(ends)))

    def probe(self, shape: tuple[int, int], seed: int) -> Int[Tensor, "b s"]:
        """Random texts [b s] that end as texts of this model do."""
        ids = Network.ordinary_ids(self.vocabulary, shape, seed)
        if self.vocabulary.suffix:
            ids[:, -1] = self.vocabulary.suffix[-1]
        return ids

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
        return Frozen.weights_fingerprint(self.module, "module.")

    @property
    def step(self) -> Step | None:
        """Continuing with a KV cache, for the sites where a trial shows that this gives the states of whole texts."""
        return self._step

    @functools.cached_property
    def _step(self) -> Step | None:
        if self._new_cache is None or not self.inputs.cached or self.routed or any(point.whole for point in self.sites.widths):
            return None
        ids = Network.ordinary_ids(self.vocabulary, PROBE, seed=2).to(self._matrix.device)
        sites = [site for site in self.sites.canonical if self.sites[site].linear is None]
        reader = CachedReader(self.module, self.inputs, self.frozen, self._points, self._new_cache)
        return reader.step(ids, sites, Trials.of(self)) if sites else None

    def read(self, embeds: Float[Tensor, "b s d"], sites: Collection[str], keep: Bool[Tensor, "b s"] | None = None) -> States:
        """States {site: [b s h]} of texts [b s d]; the network stops after the deepest of `sites`.

        Raises InputError for a site that cannot be read.
        """
        points = self._points(sites)
        if not self._batches(points, keep):
            return self._one_by_one(embeds, points, keep)
        if keep is None or bool(keep.all()):
            return self._read(embeds, points, None)
        if bool((keep[:, 1:] <= keep[:, :-1]).all()):  # padded on the right only
            return self._read(embeds, points, keep)
        order, back = pack_left(keep)
        packed = embeds.gather(1, order[..., None].expand_as(embeds))
        states = self._read(packed, points, keep.gather(1, order))
        return {site: state.gather(1, back[..., None].expand_as(state)) for site, state in states.items()}

    def linearised(self) -> AbstractContextManager[None]:
        """Within this, gradients follow RelP's rules (`optigram.models.relp`)."""
        return relp_rules(self.module, self.sites.products)

    def _points(self, sites: Collection[str]) -> dict[str, Point]:
        return {site: self._point(site) for site in sites}

    def _point(self, site: str) -> Point:
        try:
            return self.sites.point(site)
        except KeyError as error:
            raise InputError(f"{self.name} has no site {site!r} that can be read; see `optigram sites`") from error

    def _batches(self, points: dict[str, Point], keep: Tensor | None) -> bool:
        """Whether texts may be read together, and padded: not by experts, nor where a state of the text is taken from padding."""
        pooled = keep is not None and self.inputs.padding is None and any(point.whole for point in points.values())
        return not self.routed and (not pooled or (self.inputs.masks and self._pools_unpadded))

    @functools.cached_property
    def _pools_unpadded(self) -> bool:
        """Whether a trial shows that padding does not change the states that there is one of per text."""
        ids = self.probe((1, PROBE[1]), seed=3).to(self._matrix.device)
        points = {str(point): point for point in self.sites.widths if point.whole}
        with torch.no_grad():
            alone = self._read(self._matrix[ids], points, None)
            embeds = self._matrix[torch.cat([ids, ids[:, :3]], dim=1)]
            padded = self._read(embeds, points, torch.arange(embeds.shape[1], device=ids.device)[None] < ids.shape[1])
        return all(bool((alone[path][:, 0] - padded[path][:, 0]).abs().max() <= CLOSE * alone[path].abs().max()) for path in points)

    def _one_by_one(self, embeds: Tensor, points: dict[str, Point], keep: Tensor | None) -> dict[str, Tensor]:
        """The states of texts that are read one at a time, without padding; 0 at positions that do not count."""
        found: dict[str, list[Tensor]] = {site: [] for site in points}
        for number, row in enumerate(embeds):
            chosen = slice(None) if keep is None else keep[number]
            for site, state in self._read(row[None, chosen], points, None).items():
                whole = state[0] if keep is None else state.new_zeros(len(row), state.shape[-1])
                if keep is not None:
                    whole = whole.index_put((keep[number],), state[0])
                found[site].append(whole)
        return {site: torch.stack(states) for site, states in found.items()}

    def _read(self, embeds: Tensor, points: dict[str, Point], mask: Tensor | None) -> dict[str, Tensor]:
        shape = embeds.shape[0], self.inputs.length(embeds.shape[1])
        with self.frozen:
            states = Point.read_all(self.module, points, lambda: self.inputs.take_embeds(embeds, mask), shape)
        # layers may be on several devices
        return {site: state[:, : embeds.shape[1]].to(embeds.device) for site, state in states.items()}

    @staticmethod
    def ordinary_ids(vocabulary: Vocabulary, shape: tuple[int, int], seed: int) -> Int[Tensor, "b s"]:
        """Random ids [b s] of tokens that are not special; special ones may have side effects. Raises InputError if there are none."""
        ordinary = torch.tensor([i for i in range(len(vocabulary)) if i not in vocabulary.special])
        if not len(ordinary):
            raise InputError("the tokenizer has no ordinary token; its files are missing beside the weights, or belong to another model")
        return ordinary[torch.randint(len(ordinary), shape, generator=torch.Generator().manual_seed(seed))]
