"""What a text is worth after each of its words: one forward for all prefixes where later words change nothing, else a forward each."""

import dataclasses
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from optigram.errors import InputError
from optigram.models.base import Model
from optigram.objective.groups import pool, target_groups
from optigram.objective.objective import Objective
from optigram.scanning.forward import Forward
from optigram.shapes import Float
from optigram.text.template import counted_places

BLOCK = 16  # texts in one forward


def prefix_activations(objective: Objective, ids: Sequence[int], look: Callable[[], None] = lambda: None) -> list[float | None]:
    """The activation of the first 1, 2, ... n - 1 of n words `ids` [n], for the one target of an objective.

    None where a prefix has no activation: too short for the pool's position, or not as long as the template's slots. `look` is
    called between two forwards, and ends the work if it raises.
    """
    model, template, (target,) = objective.model, objective.template, objective.targets
    lengths = range(1, len(ids))
    if template.length is not None or not lengths:
        return [None for _ in lengths]
    texts = [template.fill(ids[:length]) for length in lengths]
    (group,) = target_groups(model, {0: dataclasses.replace(target, pool="last")}, torch.ones(1, dtype=torch.bool), "exact")
    causal = not template.suffix and not Forward(model, group.sites).masked
    found: list[float | None] = []
    for start in range(0, len(texts), len(texts) if causal else BLOCK):
        look()
        part = texts[-1:] if causal else texts[start : start + BLOCK]
        joined = group.joined(_states(model, group.sites, part))
        values = group.at(joined.flatten(0, 1), None).view(joined.shape[:2])
        rows = values.expand(len(texts), -1) if causal else values
        found += [_pooled(objective, row[: len(texts[n])], n + 1) for n, row in enumerate(rows, start)]
    return found


def _states(model: Model, sites: Sequence[str], texts: Sequence[Sequence[int]]) -> dict[str, Tensor]:
    """The states {site: [b s h]} of texts of several lengths, shortest first."""
    device, longest = model.embedding.device, len(texts[-1])
    ids = torch.tensor([[*text, *[text[-1]] * (longest - len(text))] for text in texts], device=device)
    lengths = torch.tensor([len(text) for text in texts], device=device)
    keep = None if len(texts) == 1 else torch.arange(longest, device=device) < lengths[:, None]
    with torch.inference_mode():
        return dict(model.read(model.embedding[ids], sites, keep))


def _pooled(objective: Objective, values: Float[Tensor, " s"], length: int) -> float | None:
    """The pooled value of a text of this many words, given those of its s positions; None where the pool finds none of them."""
    model, (target,) = objective.model, objective.targets
    if isinstance(target.pool, int) and target.pool >= len(values):
        return None
    counted = torch.tensor(counted_places(objective.template, length, model.vocabulary), device=values.device)
    try:
        share, peak = pool(target, counted if model.attends else torch.ones_like(counted))
    except InputError:  # no position counts in so short a text
        return None
    return float(values[peak].max() if peak.any() else (values * share).sum())
