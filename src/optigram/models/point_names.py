"""Names of places in a transformer: short point names such as `mlp_act.5`, module paths, and TransformerLens's names.

Modules are found by what they are called inside a block, so a new architecture whose parts have known names needs
no code. The point names are those of Neuronpedia's engine, `interp-engine`.
"""

import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Literal

from torch import nn

from optigram.models.hooks import Point

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


def canonical_points(root: nn.Module, widths: Mapping[Point, int], chains: Chains = lambda out, into: True) -> dict[str, Point]:
    """The points of every block of a transformer by their short names, in order; none if it has no list of blocks.

    `mlp_out_post` and `attn_out_post` are what is added to the residual stream: where a norm stands between, they
    differ from `mlp_out` and `attn_out`, and where none does they are the same points.
    """
    return {
        f"{name}.{layer}": point for layer, block in enumerate(_blocks(root, widths, chains)) for name, point in _of_block(block, widths)
    }


def lens_names(name: str) -> tuple[str, ...]:
    """TransformerLens's names of a point such as `mlp_act.5`, the most common first."""
    kind, _, layer = name.partition(".")
    return tuple(pattern.format(layer) for pattern in LENS.get(kind, ()))


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
