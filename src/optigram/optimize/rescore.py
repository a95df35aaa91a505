"""The last word on the texts that were kept: judged once more, exactly, and in float32 after a search in half precision."""

from dataclasses import dataclass

import torch
from torch import Tensor

from optigram.objective.objective import Objective
from optigram.optimize.pareto import ParetoFront, non_dominated
from optigram.optimize.topk import TopK
from optigram.shapes import Float, Int

BEFORE = "preactivation"  # the note of a target with latents: the number before it is cut off
SECOND = "second_surprisal"  # the note of a second language model: nats per token
SEARCHED = "searched"  # the note of a search in half precision: what it took the activation for


@dataclass(frozen=True)
class Rescored:
    """The texts of one target, best first: `ids` [n t], `activation` and `surprisal` [n], and notes [n] on them."""

    ids: Int[Tensor, "n t"]
    activation: Float[Tensor, " n"]
    surprisal: Float[Tensor, " n"] | None
    notes: dict[str, Tensor]


def rescore(objective: Objective, best: TopK | ParetoFront) -> list[Rescored]:
    """The texts of a shelf as they are shown, for every target of `objective`.

    Where the objective has an exact model, the texts are ordered anew by it, and what the search took their activation for is
    noted. Of a front are shown those that are still unbeaten. A second language model says here how surprised it is. Where
    the search judged exactly, nothing is run again. These forwards are not charged: they are n for a target.
    """
    exact, latent = objective.exact, [target.latent for target in objective.targets]
    if exact is None and objective.fluency is None and not any(latent):
        known = ~best.activation.isneginf()
        return [Rescored(ids[row], value[row], None, {}) for ids, value, row in zip(best.ids, best.activation, known, strict=True)]
    model = None if exact is None else exact()
    some = int(objective.lexicon[0])
    ids = torch.where(best.ids < 0, some, best.ids)  # a text in the empty places, whose scores are not looked at
    scores = objective.viewed("exact", model).score(ids)
    order_by = objective.viewed("search", model).score(ids).value.cpu() if any(latent) else scores.value.cpu()
    order_by = order_by.nan_to_num(nan=-torch.inf).masked_fill(best.activation.isneginf(), -torch.inf)
    notes: dict[str, Tensor] = {}
    if any(latent):
        notes[BEFORE] = objective.viewed("before", model).score(ids).activation.cpu()
    if exact is not None:
        notes[SEARCHED] = objective.viewed("search").score(ids).activation.cpu()
    second = objective.second_opinion(ids)
    if second is not None:
        notes[SECOND] = second.cpu().expand_as(scores.activation)
    found = []
    for row in range(len(ids)):
        order = _order(ids[row], order_by[row])
        if isinstance(best, ParetoFront) and scores.surprisal is not None:
            order = _unbeaten(ids[row], scores.activation.cpu()[row], scores.surprisal.cpu()[row], among=order)
        told = {name: values[row][order] for name, values in notes.items() if name != BEFORE or latent[row]}
        surprisal = None if scores.surprisal is None else scores.surprisal.cpu()[row][order]
        found.append(Rescored(ids[row][order], scores.activation.cpu()[row][order], surprisal, told))
    return found


def _order(ids: Int[Tensor, "n t"], value: Float[Tensor, " n"]) -> Int[Tensor, " m"]:
    """The texts that have a value, by value downwards, then by ids."""
    rows = [row for row in range(len(ids)) if value[row] > -torch.inf]
    return torch.tensor(sorted(rows, key=lambda row: (-float(value[row]), ids[row].tolist())), dtype=torch.int64)


def _unbeaten(ids: Tensor, activation: Tensor, surprisal: Tensor, among: Int[Tensor, " m"]) -> Int[Tensor, " m"]:
    """Those of the texts `among` that no other beats, best activation first."""
    chosen = non_dominated(ids[among].numpy(), activation[among].numpy(), surprisal[among].numpy())[::-1]
    return among[torch.from_numpy(chosen.copy())]
