"""Heads: the projection to the vocabulary as a linear site, and scores of classes, of an answer or of a text as points.

One logit costs d products, and the others are never computed.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from optigram.errors import InputError
from optigram.models.base import Linear, Model, Site
from optigram.models.hooks import Point
from optigram.models.inputs import Inputs
from optigram.shapes import Float, Int

LOGITS, CLASSES, SCORE, ANSWER, IMAGE_SPACE = "logits", "classes", "score", "answer", "image_space"
TOWERS = "TextModelWithProjection", "SiglipTextModel", "Siglip2TextModel", "TextTower"  # of models of text and images
Scores = tuple[Point, tuple[str, ...]]  # where they are, and the names of their units

CLOSE = 1e-2  # of the largest logit, for weights of half precision; a wrong scale or a missing bias differs by far more
RESIDUAL = ("resid_pre", "resid_post", "mlp_out_post", "attn_out_post")  # sites in the basis of the residual stream
OF_A_BLOCK = re.compile(r"\.\d+\.")
PROBED = 6  # tokens of the text on which the last norm is looked for
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

    @staticmethod
    def written(model: Model, site: str, unit: int) -> Float[Tensor, " v"] | None:
        """What a unit adds to all logits by itself: its output direction through the last norm and the unembedding, up to one factor.

        Known at the site that the unembedding reads, and in transformers at the residual stream, at what is added to it, and at the
        inputs of the linear layers that write to it: `mlp_act` and `z`. None elsewhere, where another norm or layer stands between.
        """
        tokens = model.vocabulary.tokens
        named = {LOGITS: model.sites[LOGITS]} if LOGITS in model.sites else {name: model.sites[name] for name in model.sites}
        linear = next((one.linear for name, one in named.items() if one.linear and (name == LOGITS or one.names == tokens)), None)
        if linear is None:
            return None
        if site == linear.source:
            return linear.weight[: len(tokens), unit].detach().float().cpu()
        root, canonical = getattr(model, "module", None), getattr(model.sites, "canonical", {})
        if not isinstance(root, nn.Module) or site not in canonical:
            return None
        with torch.inference_mode():
            written, norm = _direction(model, root, canonical, site, unit), _last_norm(model, root, linear.source)
            if written is None or norm is None:
                return None
            gain, centred = norm
            return linear.weight[: len(tokens)].float().cpu() @ (gain * (written - written.mean() if centred else written))

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


def _direction(model: Model, root: nn.Module, canonical: Mapping[str, Point], site: str, unit: int) -> Tensor | None:
    """What a unit of a site adds to the residual stream [d]; None if it is not known."""
    kind, _, layer = site.partition(".")
    if kind in RESIDUAL:
        return torch.eye(model.sites[site].width)[unit]
    part = {"mlp_act": "mlp", "z": "attn"}.get(kind)
    ends = [canonical.get(f"{part}_{name}.{layer}") for name in ("out", "out_post")]
    if part is None or ends[0] is None or ends[0] != ends[1]:  # or a norm stands between
        return None
    module, width = root.get_submodule(canonical[site].path), model.sites[site].width
    weight = getattr(module, "weight", None)
    if not isinstance(weight, Tensor) or weight.ndim != 2 or not weight.is_floating_point():  # such as quantized weights
        return None
    both = _called(module, torch.stack([torch.zeros(width), torch.eye(width)[unit]]))
    return both[1] - both[0]


def _last_norm(model: Model, root: nn.Module, source: str) -> tuple[Tensor, bool] | None:
    """The gains [d] of the norm that stands between the residual stream and the site `source`, and whether it takes off the mean.

    None if what stands there is no such norm.
    """
    last = [name for name in model.sites if name.startswith("resid_post.")][-1:]
    if not last:
        return None
    width = model.sites[last[0]].width
    outside = [(path, module) for path, module in root.named_modules() if path and not OF_A_BLOCK.search(path)]
    shapes = [(path, [tuple(one.shape) for one in module.parameters()]) for path, module in outside]
    found = [path for path, own in shapes if own in ([(width,)], [(width,), (width,)]) and {path, f"{path}@in"} <= model.sites.keys()]
    ids = torch.arange(3, 3 + PROBED, device=model.embedding.device)[None] % len(model.vocabulary)
    states = model.read(model.embedding[ids], [last[0], source, *found, *(f"{path}@in" for path in found)])
    for path in found:
        if torch.equal(states[path], states[source]) and torch.equal(states[f"{path}@in"], states[last[0]]):
            signs = torch.ones(width)
            signs[1::2] = -1
            up, down, moved = _called(root.get_submodule(path), torch.stack([signs, -signs, signs + 1]))
            return (up - down) / 2 * signs, bool((moved - up).abs().max() <= CLOSE * up.abs().max())
    return None


def _called(module: nn.Module, rows: Float[Tensor, "n d"]) -> Float[Tensor, "n e"]:
    """What a module makes of some rows, in float32."""
    weight = next(module.parameters())
    return module(rows[:, None].to(weight))[:, 0].float().cpu()


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
