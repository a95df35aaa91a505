"""The projection to the vocabulary, as a linear site: one logit costs d products, and the others are never computed."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from optigram.models.base import Linear, Site
from optigram.models.hooks import Point, read_points
from optigram.models.inputs import Inputs
from optigram.shapes import Int

CLOSE = 1e-2  # of the largest logit, for weights of half precision; a wrong scale or a missing bias differs by far more
CHUNK = 256  # columns of a weight that are read through the layer's forward at a time


@dataclass(frozen=True)
class Head:
    """`layer` computes the logits; with a `softcap` c the network then bounds them: c * tanh(logit / c)."""

    layer: nn.Module | None
    softcap: float | None = None

    def site(self, root: nn.Module, inputs: Inputs, ids: Int[Tensor, "b s"], names: tuple[str, ...]) -> Site | None:
        """The site `logits`, checked against the network's own output on `ids`; None if the output is something else."""
        path = next((path for path, module in root.named_modules() if module is self.layer), None)
        if path is None or not isinstance(self.layer, nn.Linear):
            return None
        source, (b, s) = Point(path, "in"), ids.shape
        given = inputs.output(ids).float()
        state = read_points(root, {path: source}, lambda: inputs.take_ids(ids), (b, s))[path]
        weight, bias = _linear_weights(self.layer, state.to(inputs.dtype))
        logits = nn.functional.linear(state, weight.to(state.dtype), bias.to(state.dtype)).float()
        scale = self._scale(given, logits.to(given.device))
        if scale is None:
            return None
        weight, bias = (weight, bias) if scale == 1 else (weight * scale, bias * scale)
        return Site(len(weight), names if len(names) == len(weight) else (), Linear(str(source), weight, bias, self.softcap))

    def _scale(self, given: Tensor, linear: Tensor) -> float | None:
        """By what the network multiplies its projection, as Cohere and Granite do; None if it does something else with it."""
        if given.shape != linear.shape:
            return None
        scale = 1.0
        if self.softcap is not None:
            linear = self.softcap * (linear / self.softcap).tanh()
        else:
            ratio = float((given * linear).sum() / (linear * linear).sum())
            scale = 1.0 if abs(ratio - 1) < CLOSE else ratio
        return scale if (given - scale * linear).abs().max() <= CLOSE * given.abs().max() else None


def _linear_weights(layer: nn.Linear, like: Tensor) -> tuple[Tensor, Tensor]:
    """Weight [n h] and bias [n] of a linear layer, detached; `like` has the dtype and device of its input.

    Weights that are offloaded or quantised are read through the layer's forward, from unit vectors.
    """
    weight = layer.weight
    if not weight.is_meta and weight.is_floating_point() and tuple(weight.shape) == (layer.out_features, layer.in_features):
        bias = weight.new_zeros(len(weight)) if layer.bias is None else layer.bias
        return weight.detach(), bias.detach()
    with torch.no_grad():
        units = torch.eye(layer.in_features, dtype=like.dtype, device=like.device)
        bias = layer(torch.zeros_like(units[:1]))[0]
        rows = torch.cat([layer(part) for part in units.split(CHUNK)])
        return (rows if layer.bias is None else rows - bias).T.contiguous(), bias
