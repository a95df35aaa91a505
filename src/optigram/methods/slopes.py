"""The gradients by which coordinate ascent ranks words, taken again only where a text has changed."""

import torch
from torch import Tensor

from optigram.methods.moves import standardised
from optigram.objective.objective import Objective
from optigram.objective.scores import SoftText
from optigram.shapes import Float, Int


class Slopes:
    """The gradient at each chain's text: one backward gives it for all positions, and it is kept until the text changes.

    Where any text has changed, all run, beside the blends, so that batches have two shapes only; those that have not are not
    charged. With a penalty for surprisal the gradient has a part for each word, which would be too much to keep: it is then
    taken anew.
    """

    def __init__(self, objective: Objective, texts: Int[Tensor, "k c t"], relp: bool = False) -> None:
        self.objective, self.of = objective, torch.full_like(texts, -1)
        self.rules = (False, True) if relp else (False,)
        self.kept = [torch.zeros(*texts.shape, objective.table.shape[1], device=texts.device) for _ in self.rules]

    def changed(self, texts: Int[Tensor, "k c t"]) -> Int[Tensor, " k"]:
        """How many texts of each target have changed."""
        return (texts != self.of).any(-1).sum(1)

    def at(
        self, texts: Int[Tensor, "k c t"], place: int, blend: Int[Tensor, "k c m"] | None, changed: Int[Tensor, " k"]
    ) -> Float[Tensor, "k c v"]:
        """The gradient for the words at a position; with a `blend` of m words, that at their even mixture there is added.

        So many texts of each target have `changed`: it is on the CPU.
        """
        if self.objective.penalises_surprisal:
            return self.objective.gradient(texts, [place], blend, beside=True)[:, :, 0]
        embedding, renewed = self.objective.model.embedding.detach(), bool(changed.any())
        soft = [embedding[texts].float()] if renewed else []
        if blend is not None:
            mixed = embedding[texts].float()
            mixed[:, :, place] = embedding[blend].float().mean(2)
            soft.append(mixed)
        found = self._slopes(soft, changed + (0 if blend is None else texts.shape[1]))
        if renewed:
            self.kept, self.of = [slopes[0] for slopes in found], texts.clone()
        summed = [
            kept[:, :, place] + (0 if blend is None else slopes[-1][:, :, place]) for kept, slopes in zip(self.kept, found, strict=True)
        ]
        ranked = SoftText.per_word(torch.stack(summed, dim=2), self.objective.table)  # of all rules at once: the table is read once
        return ranked[:, :, 0] if len(summed) == 1 else standardised(ranked).sum(2)

    def _slopes(self, soft: list[Float[Tensor, "k c t d"]], due: Int[Tensor, " k"]) -> list[list[Float[Tensor, "k c t d"]]]:
        """The gradients by each rule at each of the soft texts, in one call a rule, of which `due` texts are charged to each target."""
        if not soft:
            return [[] for _ in self.rules]
        cost, found = self.objective.cost, []
        due = due.double() * self.objective.activation_cost
        for linearised in self.rules:
            embeds = torch.cat(soft, dim=1).requires_grad_()
            with cost.charged(torch.zeros_like(cost.active)):
                value = self.objective.relax(SoftText(embeds, None), linearised=linearised).value
                (slope,) = torch.autograd.grad(value.sum(), embeds)
            cost.charge(due, 2.0 * due)
            found.append(list(slope.split(soft[0].shape[1], dim=1)))
        return found
