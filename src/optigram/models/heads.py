"""The projection to the vocabulary, as a linear site: one logit costs d products, and the others are never computed."""

from dataclasses import dataclass

from torch import Tensor, nn

from optigram.models.base import Linear, Site
from optigram.models.hooks import Point, read_points
from optigram.models.inputs import Inputs, first_tensor
from optigram.models.module_state import linear_weights
from optigram.shapes import Int

CLOSE = 1e-2  # of the largest logit, for weights of half precision; a wrong scale or a missing bias differs by far more


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
        given = first_tensor(inputs.take_ids(ids)).float()
        state = read_points(root, {path: source}, lambda: inputs.take_ids(ids), (b, s))[path]
        weight, bias = linear_weights(self.layer, state.to(inputs.dtype))
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
