"""Models from objects: any torch module with an embedding layer, objects of other tools, and import paths to one's own."""

import functools
import importlib
import inspect
from collections.abc import Sequence
from typing import Any

from torch import nn

from optigram.engine.imports import is_import_path, working_directory_first
from optigram.errors import InputError, nearest
from optigram.models.adapters import Adapter
from optigram.models.base import Model
from optigram.models.bodies import Body
from optigram.models.heads import Head
from optigram.models.huggingface import wrap_model
from optigram.models.network import Network
from optigram.models.tokenizers import NEEDED, vocabulary_of

MEMBERS = "name", "vocabulary", "embedding", "sites", "attends", "step", "fingerprint", "read"
WRAPPERS = "original_model", "_module", "_model"  # where TransformerLens's bridge and nnsight keep the module that they wrap


def wrap_object(source: Any, tokenizer: Any, words: Sequence[str] | None, embedding: str | None, name: str | None = None) -> Model:
    """A `Model` as it is; a module of torch, transformers, TransformerLens or nnsight behind the seam, called `name`.

    Raises InputError for anything else.
    """
    lacking = _lacking(source)
    if not lacking:
        if (tokenizer, words, embedding) != (None, None, None):
            raise InputError(f"expected no tokenizer, words or embedding with {source.name}, which has its own; leave them out")
        return source
    module, own = _unwrapped(source, lacking)
    tokenizer = own if tokenizer is None and words is None else tokenizer
    if embedding is None and any(kind.__name__ == "PreTrainedModel" for kind in type(module).__mro__):
        return wrap_model(module, tokenizer, name, words)
    return _wrap_module(module, tokenizer, words, embedding, name)


def imported(source: str) -> Any:
    """The object at an import path such as `package.module:factory`, or what the function there returns; None for another name.

    The working directory is searched first. Raises InputError if there is no such module or member.
    """
    if not is_import_path(source):
        return None
    path, _, member = source.partition(":")
    with working_directory_first():
        try:
            found: Any = importlib.import_module(path)
        except ImportError as error:
            raise InputError(f"cannot import {path!r} of {source!r} ({error}); expected package.module:factory") from error
        for part in member.split("."):
            if not hasattr(found, part):
                raise InputError(f"expected a member of {path}, got {member!r}{nearest(part, dir(found))}")
            found = getattr(found, part)
        found = found() if inspect.isroutine(found) or isinstance(found, type | functools.partial) else found
    if found is None:
        raise InputError(f"expected a model of {source!r}, got None; return one")
    return found


def _wrap_module(
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
    heads = (Head(linear[-1]),) if linear else ()
    return Network(name or type(module).__name__, module, vocabulary, Body(module, layer, heads))


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


def _lacking(source: object) -> list[str]:
    """The members of `Model` that an object has not. By name, for their values may be expensive."""
    known = dir(source)
    return [member for member in MEMBERS if member not in known]


def _unwrapped(source: Any, lacking: list[str]) -> tuple[nn.Module, Any]:
    """The torch module in an object of another tool, and its tokenizer, if it has one."""
    tokenizer = getattr(source, "tokenizer", None)
    source = Adapter.unwrapped(source)
    for attribute in WRAPPERS:
        inner = getattr(source, attribute, None)
        if isinstance(inner, nn.Module):
            return inner, tokenizer
    if isinstance(source, nn.Module):
        return source, tokenizer
    if all(hasattr(source, name) for name in NEEDED):
        raise InputError(f"expected a model first, got the tokenizer {type(source).__name__}; give load(model, tokenizer)")
    if "read" not in lacking:
        raise InputError(f"expected a model with {', '.join(MEMBERS)}, got {type(source).__name__} without {', '.join(lacking)}; add them")
    raise InputError(f"expected the name of a model, a folder, or a loaded model, got {type(source).__name__}; see optigram.load")
