"""Texts next to a text, judged: with one word left out, and with one word replaced by another."""

import dataclasses
from collections.abc import Callable

import torch

from optigram.objective.objective import Objective
from optigram.shapes import Float, Int
from optigram.text.template import Template

ALL, SHORTLIST = 4096, 64  # words up to which every one is tried at a place; how many are tried else, those of the steepest gradient
BATCH = 1 << 16  # texts judged at once, over all targets
RANKED = 1 << 24  # numbers for words that are held while they are ranked, or those of one text


def without_each(
    objective: Objective, ids: Int[torch.Tensor, "k c t"], look: Callable[[], None] = lambda: None
) -> Float[torch.Tensor, "k c t"]:
    """The activation of each text without each of its free words; NaN for a text of one word, and where a pool's position is gone.

    `look` is called between two forwards, and ends the work if it raises.
    """
    k, c, t = ids.shape
    found = torch.full((k, c, t), torch.nan)
    shorter = objective.template.fill([0] * t)[1:]
    lasting = [n for n, target in enumerate(objective.targets) if not isinstance(target.pool, int) or target.pool < len(shorter)]
    if t == 1 or not lasting:
        return found
    targets = [objective.targets[n] for n in lasting]
    judges: dict[Template, Objective] = {}
    for place in range(t):
        look()
        template = _template_without(objective.template, place)
        if template not in judges:
            judges[template] = Objective(objective.model, targets, t - 1, template).viewed("exact")
        rest = torch.cat([ids[lasting, :, :place], ids[lasting, :, place + 1 :]], dim=2)
        found[lasting, :, place] = judges[template].score(rest).activation.cpu()
    return found


def _template_without(template: Template, place: int) -> Template:
    """The template with the slot of one free word closed; the fixed words stay where they are."""
    between = tuple((count - (count > place), fixed) for count, fixed in template.between)
    return dataclasses.replace(template, between=between, length=None)


def with_others(
    objective: Objective, ids: Int[torch.Tensor, "k t"], most: int, shortlist: int | None = None
) -> tuple[list[list[list[tuple[int, float]]]], int]:
    """For each target and place of its text the `most` best other words, as (id, activation); and how many were tried.

    Tried are the `shortlist` words whose weight the activation would rise most with, to first order. Without one all words of the
    lexicon are tried if there are no more than 4,096, else 64.
    """
    words = objective.lexicon.cpu()
    count = shortlist or (SHORTLIST if len(words) > ALL else len(words))
    tried = words.expand(*ids.shape, -1) if count >= len(words) else words[_steepest(objective, ids, count)]
    exact = objective.viewed("exact")
    found: list[list[list[tuple[int, float]]]] = [[] for _ in ids]
    for place in range(ids.shape[1]):
        candidates = tried[:, place]  # [k w]
        size = max(1, BATCH // candidates.shape[1])
        for start in range(0, len(ids), size):
            part = range(start, min(start + size, len(ids)))
            texts = ids[part.start : part.stop, None].expand(-1, candidates.shape[1], -1).clone()
            texts[:, :, place] = candidates[part.start : part.stop]
            values = exact.subset(part).score(texts).activation.cpu()
            values.masked_fill_(texts[:, :, place] == ids[part.start : part.stop, place, None], -torch.inf)
            best = values.topk(min(most, values.shape[1] - 1 or 1))
            for row, member in enumerate(part):
                chosen = candidates[member, best.indices[row]].tolist()
                found[member].append([(word, value) for word, value in zip(chosen, best.values[row].tolist(), strict=True)])
    return found, tried.shape[-1]


def _steepest(objective: Objective, ids: Int[torch.Tensor, "k t"], count: int) -> Int[torch.Tensor, "k t w"]:
    """The `count` rows of the lexicon that the gradient ranks highest at each place."""
    (k, t), found = ids.shape, []
    size = max(RANKED // (t * len(objective.lexicon)), 1)
    for start in range(0, k, size):
        part = range(start, min(start + size, k))
        slopes = objective.subset(part).gradient(ids[part.start : part.stop, None])[:, 0]
        found.append(slopes.topk(count, dim=-1).indices.cpu())
    return torch.cat(found)
