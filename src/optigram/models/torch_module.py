"""Any torch module with an embedding layer, as a model: home-made networks, and those of TransformerLens's HookedTransformer."""

from collections.abc import Sequence
from typing import Any

from torch import nn

from optigram.errors import InputError, nearest
from optigram.models.heads import Head
from optigram.models.network import Network
from optigram.models.tokenizers import listed_vocabulary, tokenizer_vocabulary

WRAPPERS = ("original_model", "_module", "_model")  # where TransformerLens's bridge and nnsight keep the module that they wrap


def wrap_module(
    module: nn.Module, tokenizer: Any = None, words: Sequence[str] | None = None, embedding: str | None = None, name: str | None = None
) -> Network:
    """A module that is called with ids [b s]; `embedding` is the path of its embedding layer, if it has several.

    Texts come from a tokenizer of transformers, or from `words` in id order, split at blanks. The last layer is the site
    `logits` if it is linear, is the output, and has as many units as there are words. The module is frozen.
    """
    layer = _layer(module, embedding)
    rows = len(next(layer.parameters()))
    if (tokenizer is None) == (words is None):
        raise InputError("expected either a tokenizer or a word list with a module; give load(module, tokenizer=...) or words=[...]")
    if words is not None and len(words) != rows:
        raise InputError(f"expected a word for each of the {rows} rows of the embedding, got {len(words)}; list them in id order")
    vocabulary = listed_vocabulary(words) if words is not None else tokenizer_vocabulary(tokenizer, rows)
    linear = [part for part in module.modules() if isinstance(part, nn.Linear) and part.out_features == rows]
    head = Head(linear[-1]) if linear else None
    return Network(name or type(module).__name__, module.eval(), vocabulary, module, layer, head)


def unwrap(source: Any) -> tuple[nn.Module, Any]:
    """The torch module within an object of another tool, and its tokenizer, if it has one."""
    tokenizer = getattr(source, "tokenizer", None)
    for attribute in WRAPPERS:
        inner = getattr(source, attribute, None)
        if isinstance(inner, nn.Module):
            return inner, tokenizer
    if not isinstance(source, nn.Module):
        raise InputError(f"expected the name of a model, a folder, or a torch module, got {type(source).__name__}")
    return source, tokenizer


def _layer(module: nn.Module, path: str | None) -> nn.Module:
    modules = dict(module.named_modules())
    if path is not None:
        if path not in modules:
            raise InputError(f"the module has no layer {path!r}{nearest(path, modules)}")
        return modules[path]
    layers = [name for name, part in modules.items() if isinstance(part, nn.Embedding)]
    if len(layers) == 1:
        return modules[layers[0]]
    if not layers and "embed" in modules and "hook_embed" in modules:  # HookedTransformer
        return modules["embed"]
    raise InputError(f"expected one embedding layer, found {', '.join(layers) or 'none'}; name it: load(module, embedding=...)")
