"""Final re-scoring: the kept texts are scored once more, in float32 if the search ran in half precision."""

from dataclasses import dataclass

import torch
from torch import Tensor

from optigram.models.base import Model
from optigram.objective.objective import Objective
from optigram.optimize.pareto import ParetoFront
from optigram.optimize.topk import TopK
from optigram.shapes import Float, Int

BEFORE = "preactivation"  # note of a target with SAE latents: the value before the threshold
SECOND = "second_surprisal"  # note of a second language model: nats per token
CONTEXT = "context"  # notes of a text in several contexts, numbered from 1: the activation in each
SEARCHED = "searched"  # note of a search in half precision: the activation that it saw


@dataclass(frozen=True)
class Rescored:
    """The texts of one target, best first: `ids` [n t], `activation` and `surprisal` [n], and notes [n]; all on the CPU."""

    ids: Int[Tensor, "n t"]
    activation: Float[Tensor, " n"]
    surprisal: Float[Tensor, " n"] | None
    notes: dict[str, Tensor]


def rescore(objective: Objective, best: TopK | ParetoFront) -> list[Rescored]:
    """The kept texts as they are shown, for every target of `objective`.

    If the objective has an exact model, it re-orders the texts, and the activation that the search saw becomes a note. Of a
    front, only texts that are still non-dominated are shown. A second language model adds its surprisal. Where the search
    was exact already, nothing runs again: it was, but for latents and for neurons that are off. These forwards (n per target) are not
    charged.
    """
    exact, latent = objective.exact, [target.latent for target in objective.targets]
    ranked = best.activation if isinstance(best, ParetoFront) else best.value
    seen = [Rescored(ids[keep], value[keep], None, {}) for ids, value, keep in zip(best.ids, ranked, ~ranked.isneginf(), strict=True)]
    anew = [row for row in objective.raised() if bool((seen[row].activation <= 0).any())]
    anew = sorted({*anew, *(row for row, one in enumerate(latent) if one)})
    if exact is None and objective.fluency is None and objective.contexts == 1 and len(anew) < len(seen):
        part = rescore(objective.subset(anew), TopK(best.ids[anew], ranked[anew])) if anew else []
        return [part[anew.index(row)] if row in anew else one for row, one in enumerate(seen)]
    model = None if exact is None else exact()
    ids = torch.where(best.ids < 0, int(objective.lexicon[0]), best.ids)  # any text in the empty slots; its scores are not used
    scores = objective.viewed("exact", model).score(ids, owned=True)
    order_by = objective.viewed("search", model).score(ids, owned=True).value.cpu() if any(latent) else scores.value.cpu()
    order_by = order_by.nan_to_num(nan=-torch.inf, posinf=-torch.inf, neginf=-torch.inf).masked_fill(ranked.isneginf(), -torch.inf)
    activation, surprisal = scores.activation.cpu(), None if scores.surprisal is None else scores.surprisal.cpu()
    notes = _notes(objective, ids, model)
    found = []
    for row in range(len(ids)):
        order = _order(ids[row], order_by[row])
        if isinstance(best, ParetoFront) and surprisal is not None:
            order = _non_dominated(ids[row], activation[row], surprisal[row], among=order)
        kept = {name: values[row][order] for name, values in notes.items() if name != BEFORE or latent[row]}
        found.append(Rescored(ids[row][order], activation[row][order], None if surprisal is None else surprisal[row][order], kept))
    return found


def _notes(objective: Objective, ids: Int[Tensor, "k n t"], model: Model | None) -> dict[str, Tensor]:
    """Notes [k n] on texts; `model` is the exact model, if there is one."""
    notes: dict[str, Tensor] = {}
    if any(target.latent for target in objective.targets):
        notes[BEFORE] = objective.viewed("before", model).score(ids, owned=True).activation.cpu()
    if model is not None:
        notes[SEARCHED] = objective.viewed("search").score(ids, owned=True).activation.cpu()
    if objective.contexts > 1:
        each = objective.viewed("exact", model).each(ids).cpu()
        notes |= {f"{CONTEXT} {number}": values for number, values in enumerate(each, start=1)}
    second = objective.second_opinion(ids)
    if second is not None:
        notes[SECOND] = second.cpu().expand(ids.shape[:2])
    return notes


def _order(ids: Int[Tensor, "n t"], value: Float[Tensor, " n"]) -> Int[Tensor, " m"]:
    """The texts with a value, by value descending, then by ids."""
    values, texts = value.tolist(), ids.tolist()
    rows = [row for row, one in enumerate(values) if one > -torch.inf]
    return torch.tensor(sorted(rows, key=lambda row: (-values[row], texts[row])), dtype=torch.int64)


def _non_dominated(ids: Tensor, activation: Tensor, surprisal: Tensor, among: Int[Tensor, " m"]) -> Int[Tensor, " m"]:
    """Those of the texts `among` that no other beats, best activation first."""
    chosen = ParetoFront.non_dominated(ids[among].numpy(), activation[among].numpy(), surprisal[among].numpy())
    return among[torch.from_numpy(chosen)]
