"""Grouping: targets that read the same sites become one `TargetGroup`, whose activations are computed together."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from optigram.errors import InputError
from optigram.models.base import Model
from optigram.objective.activations import Contest, LogSumExp, TargetGroup, View
from optigram.objective.terms import AffineTerm, Normaliser, Source, affine_terms, normalisers
from optigram.shapes import Bool, Float
from optigram.targets.latent import SparseAutoencoder
from optigram.targets.target import Target


def target_groups(model: Model, targets: Mapping[int, Target], looked: Bool[Tensor, " s"], view: View = "search") -> list[TargetGroup]:
    """One `TargetGroup` for each set of sources that some of the numbered targets read together.

    `looked` [s] are the positions that @max and @mean cover. Functions among a target's terms are left out: see `all_groups`.
    """
    parts = {number: (affine_terms(model, target), normalisers(model, target)) for number, target in targets.items()}
    groups: dict[tuple, list[int]] = {}
    for number, (terms, taken) in parts.items():
        sources = tuple(dict.fromkeys(term.source for term in terms))
        if sources:
            groups.setdefault((sources, tuple(taken)), []).append(number)
    return [
        _group(model, key[0], {number: (targets[number], *parts[number]) for number in members}, looked, view)
        for key, members in groups.items()
    ]


def _group(
    model: Model,
    sources: tuple[Source, ...],
    members: Mapping[int, tuple[Target, list[AffineTerm], dict[Normaliser, float]]],
    looked: Tensor,
    view: View,
) -> TargetGroup:
    device, targets = model.embedding.device, [target for target, _, _ in members.values()]
    terms, taken = [terms for _, terms, _ in members.values()], [taken for _, _, taken in members.values()]
    widths = [len(next(term.weight for row in terms for term in row if term.source == source)) for source in sources]
    starts = dict(zip(sources, [sum(widths[:i]) for i in range(len(widths))], strict=True))
    shape, fills = (len(terms), max(map(len, terms))), (0.0, 0.0, -torch.inf, torch.inf)
    weight = torch.zeros(*shape, sum(widths), device=device)
    bias, coefficient, threshold, cap = (torch.full(shape, fill, device=device) for fill in fills)
    for row, parts in enumerate(terms):
        for slot, term in enumerate(parts):
            start = starts[term.source]
            weight[row, slot, start : start + len(term.weight)] = term.weight.to(device)
            bias[row, slot], coefficient[row, slot], threshold[row, slot], cap[row, slot] = term.numbers
    contests = _contests(terms, starts, device)
    sums = tuple(_log_sum_exp(model, one, starts, widths, [row[one] for row in taken]) for one in taken[0])
    share, peak = (torch.stack(parts) for parts in zip(*(pool(target, looked.to(device)) for target in targets), strict=True))
    return TargetGroup(sources, list(members), weight, bias, coefficient, threshold, cap, contests, sums, share, peak, view)


def _contests(terms: Sequence[Sequence[AffineTerm]], starts: Mapping[Source, int], device: torch.device) -> tuple[Contest, ...]:
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


def _log_sum_exp(model: Model, one: Normaliser, starts: Mapping[Source, int], widths: Sequence[int], share: Sequence[float]) -> LogSumExp:
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
