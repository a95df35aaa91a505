"""From states to activations: the units, directions, latents and log probabilities of all targets that read the same sites.

A target is a sum of affine terms, numbers `weight @ state + bias` that may pass through an autoencoder's threshold, the competition
among its latents (TopK), or a soft cap. The linear terms of a target are summed into one.
"""

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from optigram.models.base import Linear, in_blocks
from optigram.shapes import Bool, Float, Int
from optigram.targets.latent import Scaling, SparseAutoencoder, scaled

ROWS, COLUMNS = 1024, 32  # of matrix products: one shape, whatever the number of targets, so that results do not depend on it
LEVELS = 128  # states of which all latents of a TopK autoencoder are computed at once
STATES, TOKENS = 32, 1 << 13  # states and tokens of which logits are held at once for a log-sum-exp
TIE = 1e-6  # how much a latent that is off counts of its distance to its threshold

View = Literal["search", "climb", "exact", "before"]


class Source(NamedTuple):
    """A site whose states are read, and how they are scaled first."""

    site: str
    scaling: Scaling = "none"


@dataclass(frozen=True)
class Contest:
    """The terms that are latents `index` [e] of one TopK autoencoder, which reads the columns from `start` to `stop`."""

    autoencoder: SparseAutoencoder
    start: int
    stop: int
    member: list[int]
    slot: list[int]
    index: list[int]


@dataclass(frozen=True)
class LogSumExp:
    """The log-sum-exp of all logits, times the `share` [m] that each member takes off; `head` gives the logits of columns from `start`."""

    head: Linear | None
    start: int
    stop: int
    share: Float[Tensor, " m"]

    def of(self, states: Float[Tensor, "n h"]) -> Float[Tensor, " n"]:
        """For joined states [n h], in float32. Logits are held in blocks; a gradient keeps them all."""
        return in_blocks(self._block, states[:, self.start : self.stop], STATES)

    def _block(self, states: Float[Tensor, "n h"]) -> Float[Tensor, " n"]:
        head = self.head
        if head is None:
            return states.logsumexp(-1)
        found = []
        for begin in range(0, len(head.weight), TOKENS):
            weight, bias = (part[begin : begin + TOKENS].detach().float() for part in (head.weight, head.bias))
            padded = torch.nn.functional.pad(weight, (0, 0, 0, -len(weight) % COLUMNS))  # odd widths round by a row's place in the block
            logits = (states @ padded.T)[:, : len(weight)] + bias
            logits = logits if head.softcap is None else head.softcap * torch.tanh(logits / head.softcap)
            found.append(logits.logsumexp(-1))
        return torch.stack(found, dim=-1).logsumexp(-1)


@dataclass(frozen=True, eq=False)
class TargetGroup:
    """`members` are the targets (by number) that read `sources`, whose states are concatenated to width h.

    Each member has q terms: `weight` [m q h], `bias`, `coefficient`, `threshold` (-inf: none) and `cap` (inf: none) [m q].
    A pool is `share` [m s], the weight of each position, or for a maximum `peak` [m s], the positions it is taken over.

    `view` says how a latent counts that is off: "exact" as 0; "search" and "climb" as 0 less a millionth of its distance to the
    threshold, so that texts below the threshold have an order, and with the gradient of that distance, so that there is a way up;
    "before" as the number before the threshold. In "climb" a neuron of an MLP that is not above 0 counts likewise, where it is a
    target by itself, by `pre` [m q g], the columns of what it is computed from (-1: none): where it is off, its activation function
    is flat or falls.
    """

    sources: tuple[Source, ...]
    members: list[int]
    weight: Float[Tensor, "m q h"]
    bias: Float[Tensor, "m q"]
    coefficient: Float[Tensor, "m q"]
    threshold: Float[Tensor, "m q"]
    cap: Float[Tensor, "m q"]
    contests: tuple[Contest, ...]
    normalisers: tuple[LogSumExp, ...]
    share: Float[Tensor, "m s"]
    peak: Bool[Tensor, "m s"]
    view: View
    pre: Int[Tensor, "m q g"] | None = None

    @property
    def by_prefix(self) -> "TargetGroup | None":
        """What serves texts that are read position by position: the group itself."""
        return self

    @functools.cached_property
    def sites(self) -> list[str]:
        """The sites that are read."""
        return list(dict.fromkeys(source.site for source in self.sources))

    @functools.cached_property
    def positions(self) -> list[int]:
        """The positions that any member looks at."""
        return torch.nonzero((self.share != 0).any(0) | self.peak.any(0)).flatten().tolist()

    @property
    def kind(self) -> tuple[object, ...]:
        """What decides which operations are run."""
        counts = len(self.contests), len(self.normalisers), 0 if self.pre is None else self.pre.shape[-1]
        return (*self.sources, *self.weight.shape, self._units is None, self._linear, *counts, self.view)

    def joined(self, states: Mapping[str, Tensor]) -> Float[Tensor, "... h"]:
        """The states of all sources, concatenated in float32, each scaled as its autoencoder needs it."""
        parts = [scaled(states[source.site].float(), source.scaling) for source in self.sources]
        return parts[0] if len(parts) == 1 else torch.cat(parts, dim=-1)

    def activations(self, states: Mapping[str, Tensor], members: Int[Tensor, " n"] | None) -> Float[Tensor, "n m"]:
        """Activations of texts with states {site: [n s h]}: [n m], or [n 1] where each text is scored for one target of `members` [n]."""
        joined, pooled = self.joined(states), None
        if members is None or self._units is None or self.normalisers or self.contests:
            values = (self.at(joined[:, position], members) for position in self.positions)
        else:  # nothing is multiplied, so that all positions can be read at once
            every = joined[:, self.positions]
            values = self.at(every.flatten(0, 1), members.repeat_interleave(every.shape[1])).unflatten(0, every.shape[:2]).unbind(1)
        for position, value in zip(self.positions, values, strict=True):
            pooled = self.pool_on(pooled, value, position, members)
        assert pooled is not None, "every pool covers a position"
        return pooled

    def at(self, states: Float[Tensor, "n h"], members: Int[Tensor, " n"] | None) -> Float[Tensor, "n m"]:
        """Values of joined states [n h] at one position: [n m], or [n 1] where each row is scored for one target of `members` [n]."""
        values = self._sums(states, members)
        for one in self.normalisers:
            values = values - one.of(states)[:, None] * (one.share if members is None else one.share[members, None])
        return values

    def _sums(self, states: Float[Tensor, "n h"], members: Int[Tensor, " n"] | None) -> Float[Tensor, "n m"]:
        """The sums of the affine terms; shapes as in `at`."""
        m, q, _ = self.weight.shape
        if self._units is not None:
            read = (
                states[:, self._units.flatten()].unflatten(1, (m, q))
                if members is None
                else states.gather(1, self._units[members])[:, None]
            )
            before = read + (self.bias if members is None else self.bias[members][:, None])
        elif members is None:
            before = self._products(states).unflatten(1, (m, q)) + self.bias
        else:
            before = ((states[:, None] * self.weight[members]).sum(-1) + self.bias[members])[:, None]
        if self._linear:
            return before[..., 0]
        coefficient, cap, threshold = (
            part if members is None else part[members, None] for part in (self.coefficient, self.cap, self.threshold)
        )
        finite = cap.isfinite()
        size = torch.where(finite, cap, 1)  # not inf * 0, whose gradient is NaN
        capped = torch.tanh((before / size).double()).float()  # in float32 the last few numbers of a batch are rounded otherwise
        before = torch.where(finite, size * capped, before)
        if self.view == "before":
            return (coefficient * before).sum(-1)
        on, lacking = self._cut(states, before, threshold, members)
        upwards = torch.where(on | (coefficient > 0), before, 0)
        if self.pre is not None:
            on, lacking, upwards = self._raised(states, before, on, lacking, upwards, members)
        value = torch.where(on, before, 0)
        if self.view in ("search", "climb"):
            value = (value - TIE * torch.where(on | (coefficient <= 0), 0, lacking)).detach() + (upwards - upwards.detach())
        return (coefficient * value).sum(-1)

    def pool_on(
        self, pooled: Float[Tensor, "n m"] | None, values: Float[Tensor, "n m"], position: int, members: Int[Tensor, " n"] | None
    ) -> Float[Tensor, "n m"]:
        """The pooled values after one more position; shapes as in `at`."""
        share = self.share[:, position] if members is None else self.share[members, position, None]
        peaks = self._peaks if members is None else self._peaks[members, None]
        if not self._peaked:
            return values * share if pooled is None else pooled + values * share
        if pooled is None:
            pooled = torch.where(peaks, -torch.inf, torch.zeros_like(values))
        here = self.peak[:, position] if members is None else self.peak[members, position, None]
        return torch.where(peaks, torch.where(here, torch.maximum(pooled, values), pooled), pooled + values * share)

    @functools.cached_property
    def _peaks(self) -> Bool[Tensor, " m"]:
        return self.peak.any(1)

    @functools.cached_property
    def _peaked(self) -> bool:
        return bool(self._peaks.any())

    @functools.cached_property
    def _linear(self) -> bool:
        plain = self.threshold.isneginf().all() and self.cap.isinf().all()
        return self.weight.shape[1] == 1 and self.pre is None and bool(plain)

    @functools.cached_property
    def _units(self) -> Int[Tensor, "m q"] | None:
        """The unit that each term is, if every term is one unit of the states: then it is read, with no product."""
        plain = ((self.weight != 0).sum(-1) == 1) & (self.weight.amax(-1) == 1)
        return self.weight.argmax(-1) if bool(plain.all()) else None

    def _products(self, states: Float[Tensor, "n h"]) -> Float[Tensor, "n mq"]:
        """Products of states with the weights of all terms, in blocks of one shape."""
        weight = self.weight.flatten(0, 1)
        padded = torch.cat([weight, weight.new_zeros(-len(weight) % COLUMNS, weight.shape[1])])
        products = [in_blocks(lambda rows, part=part: rows @ part.T, states, ROWS) for part in padded.split(COLUMNS)]
        return torch.cat(products, dim=1)[:, : len(weight)]

    def _raised(
        self, states: Tensor, before: Tensor, on: Tensor, lacking: Tensor, upwards: Tensor, members: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The same, where an activation function's values that are not above 0 are off, and lack what is below 0 before it."""
        assert self.pre is not None
        pre = self.pre[None] if members is None else self.pre[members, None]
        columns = pre.clamp(min=0).expand(len(states), -1, -1, -1)
        read = states.gather(1, columns.flatten(1)).view(columns.shape)
        below = torch.where(pre >= 0, read, 0).clamp(max=0).sum(-1)
        off = (pre >= 0).any(-1) & (before <= 0)
        return on & ~off, torch.where(off, -below, lacking), torch.where(off, below, upwards)

    def _cut(self, states: Tensor, before: Tensor, threshold: Tensor, members: Tensor | None) -> tuple[Tensor, Tensor]:
        """Which terms are above their threshold, and the distance of the others to it; shapes as `before`."""
        on, lacking = before > threshold, threshold - before
        for contest in self.contests:
            alive, short = (torch.full_like(self.bias, fill).expand(len(states), -1, -1).clone() for fill in (1.0, -torch.inf))
            level = in_blocks(contest.autoencoder.before, states[:, contest.start : contest.stop].detach(), LEVELS)
            edge = level.topk(contest.autoencoder.top or 1).values[:, -1:]
            alive[:, contest.member, contest.slot] = (level[:, contest.index] >= edge).float()
            short[:, contest.member, contest.slot] = edge - level[:, contest.index]
            if members is not None:
                rows = torch.arange(len(states), device=states.device)
                alive, short = alive[rows, members][:, None], short[rows, members][:, None]
            on, lacking = on & (alive > 0), torch.maximum(lacking, short)
        return on, lacking
