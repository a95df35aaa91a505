"""The activations of texts at the targets of this directory, in plain PyTorch: `python reference.py TARGET "a text" ...`.

`targets()` lists the targets, `words(target)` the words that its texts may have (none listed: any), `activations(target, texts)` scores
texts, `surprisals(target, texts)` gives nats per token, of all tokens but the first. A text of a wrong length or with another word
is a ValueError.
"""

import functools
import json
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch.nn import functional

HERE = Path(__file__).resolve().parent
BLOCKS = {"minilm": ("encoder.layer.{}", "output.dense"), "smollm2": ("model.layers.{}", "mlp.down_proj")}  # and what reads the neurons


@functools.cache
def _listed():
    return json.loads((HERE / "targets.json").read_text(encoding="utf-8"))


def targets(of=None):
    return [target for target in _listed()["targets"] if of in (None, target["set"])]


def words(target):
    return _listed()["words"].get(target["words"], [])


@functools.cache
def _small(name):
    """Weights, heads, and the id of each word of a GPT-2 of this directory."""
    folder = HERE / "models" / name
    config, vocabulary = (json.loads((folder / file).read_text(encoding="utf-8")) for file in ("config.json", "tokenizer.json"))
    weights = {key.removeprefix("transformer."): value for key, value in load_file(folder / "model.safetensors").items()}
    return weights, config["n_head"], vocabulary["model"]["vocab"]


def _sites(name, ids):
    """The states {site: [b s h]} of texts [b s]: a GPT-2 of blocks with layer norms before attention and before the MLP."""
    weights, heads, _ = _small(name)
    found, block = {}, 0
    norm = lambda x, at: functional.layer_norm(x, x.shape[-1:], weights[f"{at}.weight"], weights[f"{at}.bias"])  # noqa: E731
    linear = lambda x, at: x @ weights[f"{at}.weight"] + weights[f"{at}.bias"]  # noqa: E731
    x = weights["wte.weight"][ids] + weights["wpe.weight"][: ids.shape[1]]
    while f"h.{block}.ln_1.weight" in weights:
        at = f"h.{block}"
        parts = linear(norm(x, f"{at}.ln_1"), f"{at}.attn.c_attn").chunk(3, dim=-1)
        q, k, v = (part.unflatten(-1, (heads, -1)).transpose(1, 2) for part in parts)
        mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(2)
        x = x + linear(mixed, f"{at}.attn.c_proj")
        found[f"mlp_act.{block}"] = functional.gelu(linear(norm(x, f"{at}.ln_2"), f"{at}.mlp.c_fc"), approximate="tanh")
        x = found[f"resid_post.{block}"] = x + linear(found[f"mlp_act.{block}"], f"{at}.mlp.c_proj")
        block += 1
    return found | {"logits": norm(x, "ln_f") @ weights["wte.weight"].T}


@functools.cache
def _large(name):
    """A model of transformers, from the path that was given to `make`, and its tokenizer."""
    import transformers

    path = Path(_listed()["models"][name]["path"])
    where, more = (path, {}) if path.is_dir() else (path.parent, {"gguf_file": path.name})
    kind = transformers.AutoModel if name == "minilm" else transformers.AutoModelForCausalLM
    return kind.from_pretrained(where, dtype=torch.float32, **more).eval(), transformers.AutoTokenizer.from_pretrained(where, **more)


def ids_of(target, text):
    """The ids of a text; ValueError for a wrong length or a word that is not allowed."""
    large = "path" in _listed()["models"][target["model"]]
    if large:
        ids, pieces = _large(target["model"])[1].encode(text, add_special_tokens=False), []
        allowed = frozenset()
    else:
        pieces, allowed = text.split(), frozenset(words(target))
        ids = [_small(target["model"])[2][piece] for piece in pieces if piece in allowed]
    if unknown := [piece for piece in pieces if piece not in allowed]:
        raise ValueError(f"{target['id']}: expected words that the target allows, got {unknown[0]!r}; see reference.words(target)")
    if len(ids) != target["length"]:
        raise ValueError(f"{target['id']}: expected a text of {target['length']} tokens, got {len(ids)} in {text!r}")
    return ids


@torch.no_grad()
def _states(target, texts, site):
    ids, name = torch.tensor([ids_of(target, text) for text in texts]), target["model"]
    if "path" not in _listed()["models"][name]:
        return ids, _sites(name, ids)[site]
    model, tokenizer = _large(name)
    whole = torch.tensor([tokenizer.encode(text) for text in texts]) if name == "minilm" else ids
    block, down = BLOCKS[name]
    kind, _, number = site.partition(".")
    seen, path = [], block.format(number) + (f".{down}" if kind == "mlp_act" else "")
    if kind == "logits":
        return ids, model(whole).logits
    module = model.get_submodule(path)
    first = lambda found: found[0] if isinstance(found, tuple) else found  # noqa: E731
    hook = module.register_forward_hook(lambda _, given, made: seen.append(first(given if kind == "mlp_act" else made)))
    model(whole)
    hook.remove()
    return ids, seen[0][:, 1:-1] if name == "minilm" else seen[0]


def activations(target, texts):
    """The activation of each text: the value at the last token (`last`) or the highest at any (`max`)."""
    _, states = _states(target, texts, target["site"])
    if "unit" in target:
        values = states[..., target["unit"]]
    else:
        values = states @ load_file(HERE / "models" / target["model"] / "directions.safetensors")[target["direction"]]
    return (values[:, -1] if target["pool"] == "last" else values.amax(1)).tolist()


def surprisals(target, texts):
    ids, logits = _states(target, texts, "logits")
    return functional.cross_entropy(logits[:, :-1].transpose(1, 2), ids[:, 1:], reduction="none").mean(1).tolist()


if __name__ == "__main__":
    (chosen,) = (target for target in targets() if target["id"] == sys.argv[1])
    print(*activations(chosen, sys.argv[2:]), sep="\n")
