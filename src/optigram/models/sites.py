"""The sites of a network that is read by hooks: every module with one state per position, under all of its names.

Modules are found by what they are called inside a block, so a new architecture whose parts have known names needs no code. Point names
such as `mlp_act.5` are those of Neuronpedia's engine, `interp-engine`; TransformerLens's are known too.
"""

import functools
import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Literal

from torch import nn

from optigram.models.base import Model, Site
from optigram.models.hooks import Point

LOGITS = "logits"
SHOWN = 4  # names in a repr

# the parts of a block by what architectures call them
UP = (
    *("mlp.c_fc", "mlp.gate_proj", "mlp.gate_up_proj", "mlp.dense_h_to_4h", "mlp.Wi", "mlp.fc1", "mlp.fc_in", "mlp.fc11", "ffn.lin1"),
    *("layer.1.DenseReluDense.wi", "layer.1.DenseReluDense.wi_0", "layer.2.DenseReluDense.wi", "layer.2.DenseReluDense.wi_0"),
    *("fc1", "intermediate.dense", "linear1", "linear_1", "feed_forward.gate_proj", "feed_forward.w1", "mlp_block.gate_proj", "ffn.0"),
    *("ff.layer_1", "ffn"),
)
UP_LINEAR = (
    *("mlp.up_proj", "mlp.fc12", "layer.1.DenseReluDense.wi_1", "layer.2.DenseReluDense.wi_1", "feed_forward.up_proj", "feed_forward.w3"),
    *("mlp_block.up_proj", "ffn.up_proj"),
)
DOWN = (
    *("mlp.c_proj", "mlp.down_proj", "mlp.dense_4h_to_h", "mlp.Wo", "mlp.fc2", "mlp.fc_out", "ffn.lin2"),
    *("layer.1.DenseReluDense.wo", "layer.2.DenseReluDense.wo", "fc2", "output.dense", "linear2", "linear_2"),
    *("feed_forward.down_proj", "feed_forward.w2", "mlp_block.down_proj", "ffn.down_proj", "ffn.2", "ff.layer_2", "ffn_output"),
)
MLP = ("mlp", "block_sparse_moe", "layer.1.DenseReluDense", "layer.2.DenseReluDense", "feed_forward", "mlp_block", "moe")
MLP_OF_PARTS = "ffn"  # the whole MLP, except in ALBERT, where it is the first product
MLP_NORM = ("post_feedforward_layernorm", "post_mlp_layernorm")  # of what the MLP adds, in sandwich-norm models
ATTENTION_OUT = (
    *("attn.c_proj", "self_attn.o_proj", "attention.dense", "attention.output.dense", "attention.out_lin", "attn.Wo", "attn.out_proj"),
    *("self_attn.out_proj", "self_attn.dense", "layer.0.SelfAttention.o", "attn.attention.out_proj", "self_attention.dense"),
    *("attention.attn.o", "multi_head_attention.dense", "norm_attn_norm.attn.out_proj"),
)
ATTENTION_NORM = ("post_self_attn_layernorm", "post_attention_layernorm")

# TransformerLens's names, of its own models first, of its bridges after that
LENS = {
    "resid_pre": ("blocks.{}.hook_resid_pre", "blocks.{}.hook_in"),
    "z": ("blocks.{}.attn.hook_z", "blocks.{}.attn.o.hook_in"),
    "attn_out": ("blocks.{}.attn.hook_out",),
    "attn_out_post": ("blocks.{}.hook_attn_out",),
    "mlp_pre": ("blocks.{}.mlp.hook_pre",),
    "mlp_pre_linear": ("blocks.{}.mlp.hook_pre_linear",),
    "mlp_act": ("blocks.{}.mlp.hook_post", "blocks.{}.mlp.out.hook_in"),
    "mlp_out": ("blocks.{}.mlp.hook_out",),
    "mlp_out_post": ("blocks.{}.hook_mlp_out",),
    "resid_post": ("blocks.{}.hook_resid_post", "blocks.{}.hook_out"),
}

Block = tuple[str, int]  # the path of a module, and the number of its run
Chains = Callable[[list[Point], list[Point]], bool]  # whether the states at the first points are those at the second


class Sites(Mapping[str, Site]):
    """Point names (`mlp_act.5`) come first, then `logits`, scores (`classes`), then module paths (`transformer.h.5`, `transformer.h.5@in`).

    TransformerLens's names (`blocks.5.mlp.hook_post`) are found too, but not listed. `scores` are points with names of their
    units, `repeated` the widths at modules that run several times; `chains` tells whether states at some points are those at others.
    """

    widths: Mapping[Point, int]
    logits: Site | None
    scores: Mapping[str, tuple[Point, tuple[str, ...]]]
    canonical: dict[str, Point]

    def __init__(
        self,
        root: nn.Module,
        widths: Mapping[Point, int],
        logits: Site | None = None,
        scores: Mapping[str, tuple[Point, tuple[str, ...]]] | None = None,
        repeated: Mapping[Point, int] | None = None,
        chains: Chains = lambda out, into: True,
    ) -> None:
        self.widths, self.logits, self.scores = widths, logits, scores or {}
        self._all = {**widths, **(repeated or {})}
        self.canonical = _canonical_points(root, self._all, chains)
        self._by_lens = {alias: name for name in self.canonical for alias in Sites.lens_names(name)}

    def point(self, name: str) -> Point:
        """Where a site is read; KeyError if there is no such site, or if it is a projection, which is not read."""
        name = self._by_lens.get(name, name)
        if name in self.canonical:
            return self.canonical[name]
        if name in self.scores:
            return self.scores[name][0]
        path = re.sub("@in$", "", name)
        side = "out" if path == name else "in"
        forms = (Point(path, side), Point(path, side, whole=True), Point(path, side, turned=True))
        found = next((point for point in forms if point in self.widths), None)
        if found is None:
            raise KeyError(name)
        return found

    def __getitem__(self, name: str) -> Site:
        if name == LOGITS and self.logits is not None:
            return self.logits
        point = self.point(name)
        names = self.scores[name][1] if name in self.scores else ()
        return Site(self._width(point), names, pre=self._pre(point))

    @functools.cached_property
    def products(self) -> list[str]:
        """The paths of the modules that read the products of gated MLPs."""
        gated = {name.partition(".")[2] for name in self.canonical if name.startswith("mlp_pre_linear.")}
        return [point.path for point, layer in self._neurons.items() if layer in gated and point.side == "in"]

    def share_of_blocks(self, names: Iterable[str]) -> float:
        """The share of the blocks that run up to the deepest of some sites; 1 where a site is in no block."""
        layers = {point: int(name.rpartition(".")[2]) for name, point in self.canonical.items()}
        deepest = max((layers.get(self.point(name), len(layers)) for name in names), default=len(layers))
        return min((deepest + 1) / (1 + max(layers.values(), default=0)), 1.0)

    def _width(self, point: Point) -> int:
        return self._all[point._replace(half=None)] // (1 if point.half is None else 2)

    def _pre(self, point: Point) -> tuple[str, ...]:
        """The names of what the neurons of a block's MLP are computed from; none for another point."""
        layer = self._neurons.get(point)
        names = [name for kind in ("mlp_pre", "mlp_pre_linear") if (name := f"{kind}.{layer}") in self.canonical]
        equal = all(self._width(self.canonical[name]) == self._width(point) for name in names)
        return tuple(names) if equal and f"mlp_pre.{layer}" in names else ()

    @functools.cached_property
    def _neurons(self) -> dict[Point, str]:
        """The block's number of each point that is a `mlp_act`."""
        return {point: name.partition(".")[2] for name, point in self.canonical.items() if name.startswith("mlp_act.")}

    def __iter__(self) -> Iterator[str]:
        yield from self.canonical
        if self.logits is not None:
            yield LOGITS
        yield from self.scores
        yield from (name for point in self.widths if (name := str(point)) not in self.scores)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        names = [*self.canonical] or [str(point) for point in self.widths]
        more = ", ..." if len(names) > SHOWN else ""
        logits = "".join(f" and {name}" for name in ([] if self.logits is None else [LOGITS]) + [*self.scores])
        paths = f" and {len(self.widths)} module paths" if self.canonical else ""
        kind = "sites" if self.canonical else "module paths"
        return f"<{len(names)} {kind} ({', '.join(names[:SHOWN])}{more}){logits}{paths}>"

    @staticmethod
    def lens_names(name: str) -> tuple[str, ...]:
        """TransformerLens's names of a point such as `mlp_act.5`, the most common first."""
        kind, _, layer = name.partition(".")
        return tuple(pattern.format(layer) for pattern in LENS.get(kind, ()))

    @staticmethod
    def aliases(model: Model, site: str) -> dict[str, str]:
        """The names of a site in other tools: `point`, `module`, `transformer_lens`; only those that exist.

        The point name is the one that stands for the place alone: where no norm follows, `mlp_out_post.5` is `mlp_out.5`.
        """
        if not isinstance(model.sites, Sites) or site == LOGITS:
            return {}
        point = model.sites.point(site)
        name = next((name for name, known in model.sites.canonical.items() if known == point), None)
        found = {} if name is None else {"point": name}
        if point.half is None and not point.run:
            found["module"] = str(point)
        if name is not None and Sites.lens_names(name):
            found["transformer_lens"] = Sites.lens_names(name)[0]
        return found


def _canonical_points(root: nn.Module, widths: Mapping[Point, int], chains: Chains = lambda out, into: True) -> dict[str, Point]:
    """The points of every block of a transformer by their short names, in order; none if it has no list of blocks.

    `mlp_out_post` and `attn_out_post` are what is added to the residual stream: where a norm stands between, they
    differ from `mlp_out` and `attn_out`, and where none does they are the same points.
    """
    return {
        f"{name}.{layer}": point for layer, block in enumerate(_blocks(root, widths, chains)) for name, point in _of_block(block, widths)
    }


def _blocks(root: nn.Module, widths: Mapping[Point, int], chains: Chains) -> list[Block]:
    """The blocks: of all lists of modules, each of which reads what the one before it gives, the outermost, and of those the longest.

    Where something stands between its modules, a list counts if it is the only one: XLM has four, of which none is the blocks.
    A list whose modules run several times, as ALBERT's, has a block for each run; of such lists it is the innermost.
    """
    found = []
    for path, module in root.named_modules():
        names = [f"{path}.{number}" for number in range(len(module))] if isinstance(module, nn.ModuleList) else []
        blocks = [(name, run) for name in names for run in range(_runs(name, widths))]
        again = len(blocks) > len(names)
        if names and len(blocks) >= len(names) and all(_at(block, widths) for block in blocks):
            found.append((again, path.count(".") * (-1 if again else 1), -len(blocks), blocks))
    for *_, blocks in sorted(found):
        ends = [point for block in blocks[:-1] if (point := _at(block, widths))]
        begins = [point for block in blocks[1:] if (point := _at(block, widths, "in"))]
        if len(begins) == len(ends) and (not ends or chains(ends, begins)):
            return blocks
    return found[0][-1] if len(found) == 1 else []


def _runs(path: str, widths: Mapping[Point, int]) -> int:
    return sum(1 for _ in itertools.takewhile(lambda run: _at((path, run), widths), itertools.count()))


def _at(block: Block, widths: Mapping[Point, int], side: Literal["in", "out"] = "out", part: str = "") -> Point | None:
    """The point at a module in a block that has a state per position."""
    path, run = block
    points = (Point(path + part, side, turned=turned, run=run) for turned in (False, True))
    return next((point for point in points if point in widths), None)


def _of_block(block: Block, widths: Mapping[Point, int]) -> Iterator[tuple[str, Point]]:
    def first(names: tuple[str, ...], side: Literal["in", "out"] = "out") -> Point | None:
        return next((point for name in names if (point := _at(block, widths, side, f".{name}"))), None)

    neurons, up, linear = first(DOWN, "in"), first(UP), first(UP_LINEAR)
    if linear and (not up or up.path.endswith(f".{MLP_OF_PARTS}")):  # without a gate, the first product is what comes before the neurons
        up, linear = linear, None
    if up and neurons and widths[up] == 2 * widths[neurons]:  # one product makes both: the gate, then what it multiplies
        up, linear = up._replace(half=0), up._replace(half=1)
    elif up and neurons and widths[up] != widths[neurons]:
        up = None
    whole = first((MLP_OF_PARTS,))
    if whole and neurons and not neurons.path.startswith(f"{whole.path}."):
        whole = None
    attention, mlp = first(ATTENTION_OUT), first(MLP) or whole or first(DOWN)
    norm = first(MLP_NORM)
    points = {
        "resid_pre": _at(block, widths, "in"),
        "z": first(ATTENTION_OUT, "in"),
        "attn_out": attention,
        "attn_out_post": (norm and first(ATTENTION_NORM)) or attention,
        "mlp_pre": up,
        "mlp_pre_linear": linear,
        "mlp_act": neurons,
        "mlp_out": mlp,
        "mlp_out_post": norm or mlp,
        "resid_post": _at(block, widths),
    }
    return ((name, point) for name, point in points.items() if point is not None)
