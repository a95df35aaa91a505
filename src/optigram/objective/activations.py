"""From states to activations: the units, directions and latents of all targets that read the same sites, and how they pool.

A target is a sum of strands, numbers `weight @ state + bias` that may be bent: by the threshold of an autoencoder's
latent, by the competition among its latents (TopK), or by a soft cap. Linear terms need one strand together.
"""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from optigram.errors import InputError
from optigram.models.base import Model, in_blocks
from optigram.objective.terms import AffineTerm, Source, affine_terms
from optigram.shapes import Bool, Float, Int
from optigram.targets.latent import SparseAutoencoder, scaled
from optigram.targets.target import Target

ROWS, COLUMNS = 1024, 32  # shared texts are read in products of this one shape, whatever the number of targets
LEVELS = 128  # states of which all latents of a TopK autoencoder are computed at once
TIE = 1e-6  # what a latent that is off counts of its distance to its threshold

View = Literal["search", "exact", "before"]


@dataclass(frozen=True)
class _TopKContest:
    """The strands that are latents `index` [e] of one TopK autoencoder, which reads the columns from `start` to `stop`."""

    autoencoder: SparseAutoencoder
    start: int
    stop: int
    member: list[int]
    slot: list[int]
    index: list[int]


@dataclass(frozen=True)
class TargetGroup:
    """`members` are the targets (by number) that read `sources`, whose states are joined to one of width h.

    Each member has q strands: `weight` [m q h], `bias`, `coefficient`, `threshold` (-inf: none) and `cap` (inf: none) [m q].
    A pool is `share` [m s], the weight of each position, or for a maximum `peak` [m s], the positions it is taken over.

    `view` says what a latent counts that is off: "exact" 0; "search" 0 less a millionth of what it lacks to its threshold,
    so that texts below it have an order, and the gradient of what it lacks, so that there is a way up; "before" the
    number before the threshold.
    """

    sources: tuple[Source, ...]
    members: list[int]
    weight: Float[Tensor, "m q h"]
    bias: Float[Tensor, "m q"]
    coefficient: Float[Tensor, "m q"]
    threshold: Float[Tensor, "m q"]
    cap: Float[Tensor, "m q"]
    contests: tuple[_TopKContest, ...]
    share: Float[Tensor, "m s"]
    peak: Bool[Tensor, "m s"]
    view: View

    @functools.cached_property
    def sites(self) -> list[str]:
        """The sites that are read."""
        return list(dict.fromkeys(source.site for source in self.sources))

    @functools.cached_property
    def positions(self) -> list[int]:
        """The positions that any member looks at."""
        return torch.nonzero((self.share != 0).any(0) | self.peak.any(0)).flatten().tolist()

    def joined(self, states: Mapping[str, Tensor]) -> Float[Tensor, "... h"]:
        """The states of all sources side by side, each scaled as its autoencoder wants it, in float32."""
        parts = [scaled(states[source.site].float(), source.scaling) for source in self.sources]
        return parts[0] if len(parts) == 1 else torch.cat(parts, dim=-1)

    def pooled(self, states: Float[Tensor, "n s h"], members: Int[Tensor, " n"] | None) -> Float[Tensor, "n m"]:
        """Activations of texts with joined states [n s h]: [n m], or [n 1] where each text is read by the one of `members` [n]."""
        pooled = None
        for position in self.positions:
            pooled = self.pool_on(pooled, self.at(states[:, position], members), position, members)
        assert pooled is not None, "every target looks at a position"
        return pooled

    def at(self, states: Float[Tensor, "n h"], members: Int[Tensor, " n"] | None) -> Float[Tensor, "n m"]:
        """Values of joined states [n h] at one position: [n m], or [n 1] where each row is read by the one of `members` [n]."""
        if members is None:
            m, q, _ = self.weight.shape
            before = self._products(states).unflatten(1, (m, q)) + self.bias
        else:
            before = ((states[:, None] * self.weight[members]).sum(-1) + self.bias[members])[:, None]
        if self._linear:
            return before[..., 0]
        coefficient, cap, threshold = (
            part if members is None else part[members, None] for part in (self.coefficient, self.cap, self.threshold)
        )
        finite = cap.isfinite()
        size = torch.where(finite, cap, 1)  # where, and never inf * 0: that would make the gradient NaN
        before = torch.where(finite, size * torch.tanh(before / size), before)
        if self.view == "before":
            return (coefficient * before).sum(-1)
        on, lacking = self._cut(states, before, threshold, members)
        value = torch.where(on, before, 0)
        if self.view == "search":
            upwards = torch.where(on | (coefficient > 0), before, 0)
            value = (value - TIE * torch.where(on | (coefficient <= 0), 0, lacking)).detach() + (upwards - upwards.detach())
        return (coefficient * value).sum(-1)

    def pool_on(
        self, pooled: Float[Tensor, "n m"] | None, values: Float[Tensor, "n m"], position: int, members: Int[Tensor, " n"] | None
    ) -> Float[Tensor, "n m"]:
        """What is pooled once the values of one more position are known; shapes as in `at`."""
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
        return self.weight.shape[1] == 1 and bool(self.threshold.isneginf().all() and self.cap.isinf().all())

    def _products(self, states: Float[Tensor, "n h"]) -> Float[Tensor, "n mq"]:
        """Products of states with all strands, in products of one shape."""
        weight = self.weight.flatten(0, 1)
        padded = torch.cat([weight, weight.new_zeros(-len(weight) % COLUMNS, weight.shape[1])])
        products = [in_blocks(lambda rows, part=part: rows @ part.T, states, ROWS) for part in padded.split(COLUMNS)]
        return torch.cat(products, dim=1)[:, : len(weight)]

    def _cut(self, states: Tensor, before: Tensor, threshold: Tensor, members: Tensor | None) -> tuple[Tensor, Tensor]:
        """Which strands are on, and what the others lack to their threshold; shapes as `before`."""
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


def target_groups(model: Model, targets: Sequence[Target], looked: Bool[Tensor, " s"], view: View = "search") -> list[TargetGroup]:
    """One `TargetGroup` for each set of sites that some of `targets` read together; `looked` [s]: where @max and @mean look."""
    groups: dict[tuple[Source, ...], list[int]] = {}
    strands = [affine_terms(model, target) for target in targets]
    for number, parts in enumerate(strands):
        groups.setdefault(tuple(dict.fromkeys(part.source for part in parts)), []).append(number)
    return [_group(model, sources, members, targets, strands, looked, view) for sources, members in groups.items()]


def _group(
    model: Model,
    sources: tuple[Source, ...],
    members: list[int],
    targets: Sequence[Target],
    strands: Sequence[Sequence[AffineTerm]],
    looked: Tensor,
    view: View,
) -> TargetGroup:
    device = model.embedding.device
    widths = [len(next(part.weight for i in members for part in strands[i] if part.source == source)) for source in sources]
    starts = dict(zip(sources, [sum(widths[:i]) for i in range(len(widths))], strict=True))
    most = max(len(strands[i]) for i in members)
    weight = torch.zeros(len(members), most, sum(widths), device=device)
    shape, fills = (len(members), most), (0.0, 0.0, -torch.inf, torch.inf)
    bias, coefficient, threshold, cap = (torch.full(shape, fill, device=device) for fill in fills)
    contests: dict[tuple[Source, SparseAutoencoder], _TopKContest] = {}
    for row, number in enumerate(members):
        for slot, part in enumerate(strands[number]):
            start = starts[part.source]
            weight[row, slot, start : start + len(part.weight)] = part.weight.to(device)
            bias[row, slot], coefficient[row, slot], threshold[row, slot], cap[row, slot] = part.numbers
            if part.contest is not None:
                autoencoder, index = part.contest
                if (part.source, autoencoder) not in contests:
                    contests[part.source, autoencoder] = _TopKContest(autoencoder.to(device), start, start + len(part.weight), [], [], [])
                contest = contests[part.source, autoencoder]
                for entries, entry in ((contest.member, row), (contest.slot, slot), (contest.index, index)):
                    entries.append(entry)
    pools = [_pool(targets[number], looked.to(device)) for number in members]
    share, peak = (torch.stack(parts) for parts in zip(*pools, strict=True))
    return TargetGroup(sources, members, weight, bias, coefficient, threshold, cap, tuple(contests.values()), share, peak, view)


def _pool(target: Target, looked: Bool[Tensor, " s"]) -> tuple[Tensor, Tensor]:
    """Share of each position [s], and the positions over which the maximum is taken [s]."""
    share, peak = torch.zeros(len(looked), device=looked.device), torch.zeros_like(looked)
    if target.pool in ("max", "mean") and not looked.any():
        raise InputError(f"{target} looks at no position of such short a text (never at the first); use @last, @anywhere or a longer text")
    match target.pool:
        case "mean":
            share = looked.float() / looked.sum()
        case "last":
            share[-1] = 1
        case "max":
            peak = looked
        case "anywhere":
            peak[:] = True
        case int():
            share[target.pool] = 1
    return share, peak
