"""The keyword arguments of functions, from the options of a run; and the model that a function is given."""

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from optigram.engine.imports import is_import_path
from optigram.errors import InputError
from optigram.explaining.descriptions import describe as describe
from optigram.models.base import Model
from optigram.models.loading import load
from optigram.runs.options import ConceptOptions, FindOptions, ObjectiveOptions

P = ParamSpec("P")
O = TypeVar("O", bound=ObjectiveOptions)  # noqa: E741 - the options of a function
R = TypeVar("R")


class FindCall(FindOptions):
    """The keyword arguments of `find`."""

    tokenizer: Any = None
    out: Any = None
    quiet: bool | None = None


class ConceptsCall(ConceptOptions):
    """The keyword arguments of `concepts`."""

    tokenizer: Any = None
    quiet: bool | None = None


def with_options(kind: Callable[P, O]) -> Callable[[Callable[[Any, Any, O], R]], Callable[Concatenate[Any, Any, P], R]]:
    """Let a function take the fields of an options model as keyword arguments, with their names, types and defaults in its signature."""

    def decorate(function: Callable[[Any, Any, O], R]) -> Callable[Concatenate[Any, Any, P], R]:
        fields = kind.model_fields  # pyright: ignore[reportFunctionMemberAccess] - the class of the options is called to make them
        keyword = inspect.Parameter.KEYWORD_ONLY
        named = [inspect.Parameter(name, keyword, default=field.default, annotation=field.annotation) for name, field in fields.items()]

        @functools.wraps(function)
        def call(model: Any = None, targets: Any = None, /, *args: P.args, **options: P.kwargs) -> R:
            if args:
                raise InputError(f"expected keyword arguments after the targets, got {args[0]!r}; write by=..., corpus=..., budget=...")
            return function(model, targets, kind.checked(options))  # pyright: ignore[reportFunctionMemberAccess]

        first = list(inspect.signature(function).parameters.values())[:2]
        returns = inspect.signature(function).return_annotation
        call.__signature__ = inspect.Signature([*first, *named], return_annotation=returns)  # pyright: ignore[reportAttributeAccessIssue]
        table = "\n".join(f"        {name}: {field.description}" for name, field in fields.items() if field.description)
        call.__doc__ = f"{inspect.getdoc(function)}\n\nOptions:\n{table}\n"
        return call

    return decorate


def opened(model: Any, options: FindCall | ConceptsCall, dtype: str) -> Model:
    """The model in `dtype` where it is opened by name; a loaded object keeps its own."""
    if isinstance(model, str | Path) and not is_import_path(str(model)):
        return load(model, tokenizer=options.tokenizer, device=options.device, dtype=dtype)
    if options.dtype != "float32":
        raise InputError(
            f"dtype: expected a model opened by name for dtype={options.dtype!r}; a loaded model keeps its own, leave dtype out"
        )
    return load(model, tokenizer=options.tokenizer, device=options.device)
