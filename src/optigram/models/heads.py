"""The projection to the vocabulary, as a linear site: one logit costs d products, and the others are never computed."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from optigram.models.base import Linear, Site
from optigram.models.hooks import Point, read_points
from optigram.models.inputs import Inputs, first_tensor
from optigram.shapes import Int

CLOSE = 1e-2  # of the largest logit, for weights of half precision; a wrong scale or a missing bias is far more


@dataclass(frozen=True)
class Head:
    """`layer` gives the logits, which the network then bounds by `softcap` c: c * tanh(logit / c)."""

    layer: nn.Module | None
    softcap: float | None = None

    def site(self, root: nn.Module, inputs: Inputs, ids: Int[Tensor, "b s"], names: tuple[str, ...]) -> Site | None:
        """The site `logits`, held against the network's own output on `ids`; None if that is something else."""
        path = next((path for path, module in root.named_modules() if module is self.layer), None)
        if path is None or not isinstance(self.layer, nn.Linear):
            return None
        source, (b, s) = Point(path, "in"), ids.shape
        given = first_tensor(inputs.take_ids(ids)).float()
        state = read_points(root, {path: source}, lambda: inputs.take_ids(ids), (b, s))[path]
        weight = self.layer.weight
        bias = weight.new_zeros(len(weight)) if self.layer.bias is None else self.layer.bias
        scale = self._scale(given, nn.functional.linear(state, weight.to(state.dtype), bias.to(state.dtype)).float())
        if scale is None:
            return None
        weight, bias = (weight, bias) if scale == 1 else (weight * scale, bias * scale)
        return Site(len(weight), names if len(names) == len(weight) else (), Linear(str(source), weight, bias, self.softcap))

    def _scale(self, given: Tensor, linear: Tensor) -> float | None:
        """By what the network multiplies its projection, as Cohere's and Granite's do; None if it does something else with it."""
        if given.shape != linear.shape:
            return None
        scale = 1.0
        if self.softcap is not None:
            linear = self.softcap * torch.tanh(linear / self.softcap)
        else:
            ratio = float((given * linear).sum() / (linear * linear).sum())
            scale = 1.0 if abs(ratio - 1) < CLOSE else ratio
        return scale if (given - scale * linear).abs().max() <= CLOSE * given.abs().max() else None
