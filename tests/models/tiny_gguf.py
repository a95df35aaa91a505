"""A GGUF file of a tiny Llama with random weights, one matrix of them quantised."""

import itertools
from pathlib import Path

import gguf
import numpy as np

WIDTH, INNER, HEADS, LAYERS = 32, 64, 4, 2


def write_gguf(path: Path, seed: int = 0) -> Path:
    """Write the file: all bytes are tokens, and two merges."""
    draw = np.random.default_rng(seed)
    letters = sorted([*map(chr, range(33, 127)), *map(chr, range(161, 173)), *map(chr, range(174, 324))])[:256]
    tokens = ["<|endoftext|>", *letters, "th", "the"]
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(64)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(tokens)
    writer.add_token_types([gguf.TokenType.CONTROL] + [gguf.TokenType.NORMAL] * (len(tokens) - 1))
    writer.add_token_merges(["t h", "th e"])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(0)
    shapes = {"token_embd": (len(tokens), WIDTH), "output_norm": (WIDTH,)}
    for layer, (name, shape) in itertools.product(
        range(LAYERS),
        [(f"attn_{part}", (WIDTH, WIDTH)) for part in ("q", "k", "v", "output")]
        + [("ffn_gate", (INNER, WIDTH)), ("ffn_up", (INNER, WIDTH)), ("ffn_down", (WIDTH, INNER))]
        + [("attn_norm", (WIDTH,)), ("ffn_norm", (WIDTH,))],
    ):
        shapes[f"blk.{layer}.{name}"] = shape
    for name, shape in shapes.items():
        weights = draw.normal(0.0 if len(shape) > 1 else 1.0, 0.2, shape).astype(np.float32)
        kind = gguf.GGMLQuantizationType.Q8_0 if name.endswith("ffn_up") else gguf.GGMLQuantizationType.F32
        writer.add_tensor(f"{name}.weight", gguf.quants.quantize(weights, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
