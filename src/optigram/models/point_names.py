"""Names of places in a transformer: short point names such as `mlp_act.5`, module paths, and TransformerLens's names.

Modules are found by what they are called inside a block, so a new architecture whose parts have known names needs
no code. The point names are those of Neuronpedia's engine, `interp-engine`.
"""

from collections.abc import Iterator, Mapping

from torch import nn

from optigram.models.hooks import Point

UP = (
    *("mlp.c_fc", "mlp.gate_proj", "mlp.gate_up_proj", "mlp.dense_h_to_4h", "mlp.Wi", "mlp.fc1", "mlp.fc_in", "ffn.lin1"),
    *("layer.1.DenseReluDense.wi", "layer.1.DenseReluDense.wi_0", "fc1", "intermediate.dense", "linear1"),
)
UP_LINEAR = ("mlp.up_proj", "layer.1.DenseReluDense.wi_1")
DOWN = (
    *("mlp.c_proj", "mlp.down_proj", "mlp.dense_4h_to_h", "mlp.Wo", "mlp.fc2", "mlp.fc_out", "ffn.lin2"),
    *("layer.1.DenseReluDense.wo", "fc2", "output.dense", "linear2"),
)
MLP = ("mlp", "block_sparse_moe", "ffn", "layer.1.DenseReluDense")
MLP_NORM = ("post_feedforward_layernorm", "post_mlp_layernorm")  # of what the MLP adds, in sandwich-norm models
ATTENTION_OUT = (
    *("attn.c_proj", "self_attn.o_proj", "attention.dense", "attention.output.dense", "attention.out_lin", "attn.Wo"),
    *(
        "self_attn.out_proj",
        "self_attn.dense",
        "layer.0.SelfAttention.o",
        "attn.out_proj",
        "attn.attention.out_proj",
        "self_attention.dense",
    ),
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


def canonical_points(root: nn.Module, widths: Mapping[Point, int]) -> dict[str, Point]:
    """The points of every block of a transformer by their short names, in order; none if it has no list of blocks.

    `mlp_out_post` and `attn_out_post` are what is added to the residual stream: where a norm stands between, they
    differ from `mlp_out` and `attn_out`, and where none does they are the same points.
    """
    return {f"{name}.{layer}": point for layer, block in enumerate(_blocks(root, widths)) for name, point in _of_block(block, widths)}


def lens_names(name: str) -> tuple[str, ...]:
    """TransformerLens's names of a point such as `mlp_act.5`, the most common first."""
    kind, _, layer = name.partition(".")
    return tuple(pattern.format(layer) for pattern in LENS.get(kind, ()))


def _blocks(root: nn.Module, widths: Mapping[Point, int]) -> list[str]:
    """The paths of the blocks: of all lists of modules through which states flow, the outermost, and of those the longest."""
    found = []
    for path, module in root.named_modules():
        blocks = [f"{path}.{number}" for number in range(len(module))] if isinstance(module, nn.ModuleList) else []
        if blocks and all(Point(block) in widths for block in blocks):
            found.append((path.count("."), -len(blocks), blocks))
    return min(found)[2] if found else []


def _of_block(block: str, widths: Mapping[Point, int]) -> Iterator[tuple[str, Point]]:
    def first(names: tuple[str, ...], side: str = "out") -> Point | None:
        candidates = (Point(f"{block}.{name}", "in" if side == "in" else "out") for name in names)
        return next((point for point in candidates if point in widths), None)

    neurons, up, linear = first(DOWN, "in"), first(UP), first(UP_LINEAR)
    if up and neurons and widths[up] == 2 * widths[neurons]:  # one product makes both: the gate, then what it multiplies
        up, linear = up._replace(half=0), up._replace(half=1)
    attention, mlp = first(ATTENTION_OUT), first(MLP) or first(DOWN)
    norm = first(MLP_NORM)
    points = {
        "resid_pre": Point(block, "in") if Point(block, "in") in widths else None,
        "z": first(ATTENTION_OUT, "in"),
        "attn_out": attention,
        "attn_out_post": (norm and first(ATTENTION_NORM)) or attention,
        "mlp_pre": up,
        "mlp_pre_linear": linear,
        "mlp_act": neurons,
        "mlp_out": mlp,
        "mlp_out_post": norm or mlp,
        "resid_post": Point(block),
    }
    return ((name, point) for name, point in points.items() if point is not None)
