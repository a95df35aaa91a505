"""Any torch module with an embedding layer, as a model: networks of one's own, and TransformerLens's HookedTransformer."""

from collections.abc import Sequence
from typing import Any

from torch import nn

from optigram.errors import InputError, nearest
from optigram.models.heads import Head
from optigram.models.network import Network
from optigram.models.tokenizers import vocabulary_of


def wrap_module(
    module: nn.Module, tokenizer: Any = None, words: Sequence[str] | None = None, embedding: str | None = None, name: str | None = None
) -> Network:
    """A module that is called with ids [b s], which is left as it was found. `embedding` is the path of its embedding layer.

    Texts come from a tokenizer of transformers, or from `words` in id order, split at blanks. The last layer is the site
    `logits` if it is linear, is the output, and has as many units as there are tokens. Raises InputError where there are
    several embedding layers, or neither tokenizer nor words.
    """
    layer = _layer(module, embedding)
    rows = len(next(layer.parameters()))
    vocabulary = vocabulary_of(rows, tokenizer, words)
    linear = [part for part in module.modules() if isinstance(part, nn.Linear) and part.out_features == rows]
    head = Head(linear[-1]) if linear else None
    return Network(name or type(module).__name__, module, vocabulary, module, layer, head)


def _layer(module: nn.Module, path: str | None) -> nn.Module:
    modules = dict(module.named_modules())
    if path is not None:
        if path not in modules:
            raise InputError(f"expected the path of an embedding layer, got {path!r}{nearest(path, modules)}")
        if not any(True for _ in modules[path].parameters()):
            raise InputError(f"expected the path of an embedding layer, got {path!r} without weights; name the layer that holds them")
        return modules[path]
    layers = [name for name, part in modules.items() if isinstance(part, nn.Embedding)]
    if len(layers) == 1:
        return modules[layers[0]]
    if not layers and "embed" in modules and "hook_embed" in modules:  # HookedTransformer
        return modules["embed"]
    raise InputError(f"expected one embedding layer, found {', '.join(layers) or 'none'}; name it: load(module, embedding=...)")
