"""Heads: the projection to the vocabulary as a linear site, and scores of classes, of an answer or of a text as points.

One logit costs d products, and the others are never computed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from optigram.errors import InputError
from optigram.models.base import Linear, Site
from optigram.models.hooks import Point
from optigram.models.inputs import Inputs
from optigram.shapes import Int

LOGITS, CLASSES, SCORE, ANSWER, IMAGE_SPACE = "logits", "classes", "score", "answer", "image_space"
TOWERS = "TextModelWithProjection", "SiglipTextModel", "Siglip2TextModel", "TextTower"  # of models of text and images
Scores = tuple[Point, tuple[str, ...]]  # where they are, and the names of their units

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
        try:
            state = Point.read_all(root, {path: source}, lambda: inputs.take_ids(ids), (b, s))[path]
        except InputError:  # the layer's weights are used, and it is not called
            return None
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


@dataclass(frozen=True)
class ScoreHead:
    """What a network says about a whole text, or about each position: scores of `labels`, an answer, or an embedding of the text.

    `kind` is the name of the network's class.
    """

    kind: str
    labels: tuple[str, ...] = ()

    def find(
        self, root: nn.Module, inputs: Inputs, ids: Int[Tensor, "b s"], widths: Mapping[Point, int], tokens: tuple[str, ...]
    ) -> dict[str, Scores]:
        """The site `classes`, `score`, `answer` or `image_space`: the last point whose states on `ids` are the network's output.

        It is `logits` if there is a unit for each of `tokens`.
        """
        name, given, names = self._output(inputs.take_ids(ids))
        if given is None or given.ndim not in (2, 3):
            return {}
        points = {str(point): point for point in widths if point.side == "out" and widths[point] in (given.shape[-1], 1)}
        if not points:
            return {}
        shape = ids.shape[0], inputs.length(ids.shape[1])
        states = Point.read_all(root, points, lambda: inputs.take_ids(ids), shape)
        found = [path for path in points if _same(states[path], given, points[path].whole)]
        if not found:
            return {}
        point = points[found[-1]]
        if name == CLASSES:
            name, names = {1: (SCORE, ()), len(tokens): (LOGITS, tokens)}.get(widths[point], (name, names))
        return {name: (point, names if len(names) == widths[point] else ())}

    def _output(self, output: Any) -> tuple[str, Tensor | None, tuple[str, ...]]:
        """What the site is called, the network's output, and the names of its units."""
        parts = output if isinstance(output, Mapping) else {"logits": output}
        if "start_logits" in parts and "end_logits" in parts:
            return ANSWER, torch.stack([parts["start_logits"], parts["end_logits"]], dim=-1), ("start", "end")
        for key in ("text_embeds", "pooler_output") if self.kind.endswith(TOWERS) else ():
            if isinstance(parts.get(key), Tensor):
                return IMAGE_SPACE, parts[key], ()
        given = parts.get("logits")
        return CLASSES, given if isinstance(given, Tensor) else None, self.labels


def _same(state: Tensor, given: Tensor, whole: bool) -> bool:
    """Whether a state [b s h] is what the network gives: at every position, or for the text."""
    state = state[:, 0] if whole else state
    if state.shape != given.shape and state.shape == (*given.shape, 1):
        state = state[..., 0]
    return state.shape == given.shape and bool((state - given.float()).abs().max() <= CLOSE * given.abs().max())


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
