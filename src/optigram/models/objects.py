"""Models from objects: what a loaded object of another tool is, and import paths to objects of one's own."""

import contextlib
import functools
import importlib
import inspect
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from torch import nn

from optigram.errors import InputError, nearest
from optigram.models.base import Model
from optigram.models.huggingface import wrap_model
from optigram.models.tokenizers import is_tokenizer
from optigram.models.torch_module import wrap_module

MEMBERS = "name", "vocabulary", "embedding", "sites", "attends", "step", "fingerprint", "read"
WRAPPERS = "original_model", "_module", "_model"  # where TransformerLens's bridge and nnsight keep the module that they wrap
IMPORT_PATH = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")


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
    return wrap_module(module, tokenizer, words, embedding, name)


def is_import_path(source: str) -> bool:
    """Whether a name is an import path such as `package.module:factory`, and not a file."""
    return bool(IMPORT_PATH.fullmatch(source)) and not Path(source).exists()


def import_model(source: str | Path) -> tuple[Any, str]:
    """The object at an import path, or what the function there returns, and its name. The working directory is searched first.

    Raises InputError if there is no such module or member.
    """
    path, _, member = str(source).partition(":")
    with _working_directory_first():
        try:
            found: Any = importlib.import_module(path)
        except ImportError as error:
            raise InputError(f"cannot import {path!r} of {str(source)!r} ({error}); expected package.module:factory") from error
        for part in member.split("."):
            if not hasattr(found, part):
                raise InputError(f"expected a member of {path}, got {member!r}{nearest(part, dir(found))}")
            found = getattr(found, part)
        return found() if inspect.isroutine(found) or isinstance(found, type | functools.partial) else found, str(source)


def _lacking(source: object) -> list[str]:
    """The members of `Model` that an object has not. By name, for their values may be expensive."""
    known = dir(source)
    return [member for member in MEMBERS if member not in known]


def _unwrapped(source: Any, lacking: list[str]) -> tuple[nn.Module, Any]:
    """The torch module in an object of another tool, and its tokenizer, if it has one."""
    tokenizer = getattr(source, "tokenizer", None)
    for attribute in WRAPPERS:
        inner = getattr(source, attribute, None)
        if isinstance(inner, nn.Module):
            return inner, tokenizer
    if isinstance(source, nn.Module):
        return source, tokenizer
    if is_tokenizer(source):
        raise InputError(f"expected a model first, got the tokenizer {type(source).__name__}; give load(model, tokenizer)")
    if "read" not in lacking:
        raise InputError(f"expected a model with {', '.join(MEMBERS)}, got {type(source).__name__} without {', '.join(lacking)}; add them")
    raise InputError(f"expected the name of a model, a folder, or a loaded model, got {type(source).__name__}; see optigram.load")


@contextlib.contextmanager
def _working_directory_first() -> Iterator[None]:
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        yield
    finally:
        with contextlib.suppress(ValueError):  # the imported code may have removed it
            sys.path.remove(here)
