"""Grouping: targets that read the same sites become one `TargetGroup`, whose activations are computed together."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from optigram.errors import InputError
from optigram.models.base import Model
from optigram.objective.activations import Contest, LogSumExp, Source, TargetGroup, View
from optigram.shapes import Bool, Float
from optigram.targets.latent import SparseAutoencoder
from optigram.targets.readouts import Direction, Latent, LogProb, Term, Unit
from optigram.targets.target import Target


class _Normaliser(NamedTuple):
    """What log probabilities take off a logit: the log-sum-exp of all logits, which are the site `logits`, computed from `source`."""

    source: Source
    logits: str


@dataclass(frozen=True, eq=False)
class _AffineTerm:
    """coefficient * f(weight @ state + bias), where f is 0 up to `threshold`, or softcaps at `cap`.

    `contest` is the autoencoder and the index of a latent that must be among its largest (TopK). `pre` are the units that the
    term is computed from by an activation function (`Site.pre`), where they are to be read.
    """

    source: Source
    weight: Float[Tensor, " h"]
    bias: float
    coefficient: float = 1.0
    threshold: float = -torch.inf
    cap: float = torch.inf
    contest: tuple[SparseAutoencoder, int] | None = None
    pre: tuple[tuple[Source, int], ...] = ()

    @property
    def numbers(self) -> tuple[float, float, float, float]:
        """Bias, coefficient, threshold, cap."""
        return self.bias, self.coefficient, self.threshold, self.cap

    @property
    def linear(self) -> bool:
        """Whether f changes nothing."""
        return self.threshold == -torch.inf and self.cap == torch.inf and not self.pre


def target_groups(model: Model, targets: Mapping[int, Target], looked: Bool[Tensor, " s"], view: View = "search") -> list[TargetGroup]:
    """One `TargetGroup` for each set of sources that some of the numbered targets read together.

    `looked` [s] are the positions that @max and @mean cover. Functions among a target's terms are left out: see `all_groups`.
    """
    parts = {number: (_affine_terms(model, target, view), _normalisers(model, target)) for number, target in targets.items()}
    groups: dict[tuple, list[int]] = {}
    for number, (terms, taken) in parts.items():
        sources = tuple(dict.fromkeys([*(term.source for term in terms), *(source for term in terms for source, _ in term.pre)]))
        if sources:
            groups.setdefault((sources, tuple(taken)), []).append(number)
    return [
        _group(model, key[0], {number: (targets[number], *parts[number]) for number in members}, looked, view)
        for key, members in groups.items()
    ]


def _group(
    model: Model,
    sources: tuple[Source, ...],
    members: Mapping[int, tuple[Target, list[_AffineTerm], dict[_Normaliser, float]]],
    looked: Tensor,
    view: View,
) -> TargetGroup:
    device, targets = model.embedding.device, [target for target, _, _ in members.values()]
    terms, taken = [terms for _, terms, _ in members.values()], [taken for _, _, taken in members.values()]
    read = {term.source: len(term.weight) for row in terms for term in row}
    widths = [read.get(source, model.sites[source.site].width) for source in sources]
    starts = dict(zip(sources, [sum(widths[:i]) for i in range(len(widths))], strict=True))
    shape, fills = (len(terms), max(map(len, terms))), (0.0, 0.0, -torch.inf, torch.inf)
    weight = torch.zeros(*shape, sum(widths), device=device)
    bias, coefficient, threshold, cap = (torch.full(shape, fill, device=device) for fill in fills)
    for row, parts in enumerate(terms):
        for slot, term in enumerate(parts):
            start = starts[term.source]
            weight[row, slot, start : start + len(term.weight)] = term.weight.to(device)
            bias[row, slot], coefficient[row, slot], threshold[row, slot], cap[row, slot] = term.numbers
    most = max(len(term.pre) for row in terms for term in row)
    pre = torch.full((*shape, most), -1, device=device) if most else None
    if pre is not None:
        for row, parts in enumerate(terms):
            for slot, term in enumerate(parts):
                for place, (source, unit) in enumerate(term.pre):
                    pre[row, slot, place] = starts[source] + unit
    contests = _contests(terms, starts, device)
    sums = tuple(_log_sum_exp(model, one, starts, widths, [row[one] for row in taken]) for one in taken[0])
    share, peak = (torch.stack(parts) for parts in zip(*(pool(target, looked.to(device)) for target in targets), strict=True))
    return TargetGroup(sources, list(members), weight, bias, coefficient, threshold, cap, contests, sums, share, peak, view, pre)


def _contests(terms: Sequence[Sequence[_AffineTerm]], starts: Mapping[Source, int], device: torch.device) -> tuple[Contest, ...]:
    """The latents of each TopK autoencoder."""
    found: dict[tuple[Source, SparseAutoencoder], Contest] = {}
    for row, parts in enumerate(terms):
        for slot, term in enumerate(parts):
            if term.contest is None:
                continue
            autoencoder, index = term.contest
            if (term.source, autoencoder) not in found:
                start = starts[term.source]
                found[term.source, autoencoder] = Contest(autoencoder.to(device), start, start + len(term.weight), [], [], [])
            contest = found[term.source, autoencoder]
            for entries, entry in ((contest.member, row), (contest.slot, slot), (contest.index, index)):
                entries.append(entry)
    return tuple(found.values())


def _log_sum_exp(model: Model, one: _Normaliser, starts: Mapping[Source, int], widths: Sequence[int], share: Sequence[float]) -> LogSumExp:
    start, width = starts[one.source], widths[list(starts).index(one.source)]
    return LogSumExp(model.sites[one.logits].linear, start, start + width, torch.tensor(share, device=model.embedding.device))


def pool(target: Target, looked: Bool[Tensor, " s"]) -> tuple[Float[Tensor, " s"], Bool[Tensor, " s"]]:
    """The weight of each position, and the positions over which the maximum is taken. Raises InputError where there are none."""
    share, peak = torch.zeros(len(looked), device=looked.device), torch.zeros_like(looked)
    if target.pool in ("max", "mean") and not looked.any():
        raise InputError(f"{target} looks at no position of such a short text (never at the first); use @last, @anywhere or a longer text")
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


def _affine_terms(model: Model, target: Target, view: View = "exact") -> list[_AffineTerm]:
    """The affine terms of a target without its functions; all linear terms that read one source are summed into one, which comes first.

    Raises InputError where weights overflow float32.
    """
    linear: dict[Source, _AffineTerm] = {}
    others: list[_AffineTerm] = []
    raises = view == "climb" and len(target.terms) == 1 and target.pool != "mean"  # else values above 0 would not be exact
    for term in target.terms:
        affine = _affine_term(model, term, raises)
        if affine is None:
            continue
        if not affine.linear:
            others.append(affine)
            continue
        old, times = linear.get(affine.source), affine.coefficient
        weight, bias = times * affine.weight, times * affine.bias
        linear[affine.source] = _AffineTerm(
            affine.source, weight if old is None else old.weight + weight, bias if old is None else old.bias + bias
        )
    found = [*linear.values(), *others]
    for term in found:
        if not math.isfinite(term.bias) or not bool(term.weight.isfinite().all()):
            raise InputError(f"{target} has weights that are not finite in float32; give smaller factors, vectors or biases")
    return found


def _normalisers(model: Model, target: Target) -> dict[_Normaliser, float]:
    """The log-sum-exps that a target's log probabilities take off, with their weights; those of differences cancel out."""
    found: dict[_Normaliser, float] = {}
    for term in target.terms:
        if isinstance(term.readout, LogProb):
            head = model.sites[term.site].linear
            one = _Normaliser(Source(term.site if head is None else head.source), term.site)
            found[one] = found.get(one, 0.0) + term.weight
    return {one: weight for one, weight in found.items() if weight}


def _affine_term(model: Model, term: Term, raises: bool) -> _AffineTerm | None:
    """A term as an affine one; None for a function."""
    device = model.embedding.device
    match term.readout:
        case Unit(index) | LogProb(index):
            return _unit(model, term, index, raises)
        case Direction(vector=vector):
            return _AffineTerm(Source(term.site), vector.float().to(device), 0.0, term.weight)
        case Latent(_, index, autoencoder):
            row = autoencoder.encoder[index]
            bias = float(autoencoder.bias[index] - row @ autoencoder.center)
            contest = None if autoencoder.top is None else (autoencoder, index)
            threshold = float(autoencoder.threshold[index])
            return _AffineTerm(Source(term.site, autoencoder.scaling), row.to(device), bias, term.weight, threshold, contest=contest)
    return None


def _unit(model: Model, term: Term, index: int, raises: bool) -> _AffineTerm:
    site, device = model.sites[term.site], model.embedding.device
    if site.linear is None:
        row = torch.zeros(site.width, device=device)
        row[index] = 1
        pre = tuple((Source(pre), index) for pre in site.pre) if raises and term.weight > 0 else ()
        return _AffineTerm(Source(term.site), row, 0.0, term.weight, pre=pre)
    row, bias = site.linear.weight[index].detach().float().to(device), float(site.linear.bias[index])
    cap = torch.inf if site.linear.softcap is None else site.linear.softcap
    return _AffineTerm(Source(site.linear.source), row, bias, term.weight, cap=cap)
