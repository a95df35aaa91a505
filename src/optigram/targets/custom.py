"""Custom readouts: any differentiable function of a model's states."""

import contextlib
import hashlib
import inspect
import pkgutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import CellType, CodeType
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from optigram.engine.imports import working_directory_first
from optigram.errors import InputError
from optigram.shapes import Bool, Float
from optigram.targets.address import MEMORY
from optigram.targets.float32 import as_float32

Function = Callable[[dict[str, Tensor], Tensor], Tensor]


@dataclass(frozen=True)
class Custom:
    """A function of the states of `sites`; `name` stands in the address of a function that cannot be imported.

    `function(states, mask)` gets {site: float32 [b s h]} and bool [b s], the positions that @max and @mean look at. It returns
    values [b s], which are pooled, or [b], which are not. Each text's value must not depend on the other texts of the batch.
    """

    function: Function
    sites: tuple[str, ...]
    name: str = field(compare=False)

    def __post_init__(self) -> None:
        try:
            hash(self.function)
            inspect.signature(self.function).bind({}, None)
        except TypeError as error:
            raise InputError(f"expected a hashable function(states, mask), got {self.name}: {error}") from error
        except ValueError:  # a builtin without a signature
            pass

    @classmethod
    def imported(cls, path: str, sites: tuple[str, ...]) -> "Custom":
        """The function at `package.module.function`; the module is imported, the working directory searched first. Raises InputError."""
        try:
            with working_directory_first():
                found = pkgutil.resolve_name(path)
        except Exception as error:  # whatever the module raises while it is imported
            reason = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
            raise InputError(f"cannot import the function {path} ({reason}); expected package.module.function") from error
        if not callable(found):
            raise InputError(f"expected a function at {path}, got {type(found).__name__}")
        return cls(cast("Function", found), sites, path)

    @property
    def file(self) -> str:
        """The function's import path, or what stands for it in an address if it has none."""
        module, name = getattr(self.function, "__module__", None), getattr(self.function, "__qualname__", "")
        if module not in (None, "__main__") and _attribute(sys.modules.get(module), name) is self.function:
            return f"{module}.{name}"
        return f"{MEMORY}{self.name}.{_digest(self.function)}"

    def __call__(self, states: dict[str, Float[Tensor, "b s _"]], mask: Bool[Tensor, "b s"]) -> Float[Tensor, "..."]:
        """Values [b s] or [b] in float32. Raises InputError for whatever is wrong with the function."""
        versions = {site: state._version for site, state in states.items() if not state.is_inference()}
        try:
            values = self.function(dict(states), mask)
        except (InputError, MemoryError, torch.OutOfMemoryError):
            raise
        except Exception as error:
            reason = " ".join(str(error).split())[:200]
            raise InputError(
                f"the function {self.name} raised {type(error).__name__}: {reason}; its states are {_shapes(states)}"
            ) from error
        if any(states[site]._version != version for site, version in versions.items()):
            raise InputError(f"the function {self.name} changes its states in place; let it work on copies")
        return self._checked(values, states, mask)

    def _checked(self, values: Any, states: dict[str, Tensor], mask: Tensor) -> Tensor:
        b, s = mask.shape
        said = f"expected the function {self.name} to return a floating-point tensor of shape [b] = [{b}] or [b, s] = [{b}, {s}]"
        if not isinstance(values, Tensor):
            raise InputError(f"{said}, got {type(values).__name__}")
        if tuple(values.shape) not in ((b,), (b, s)):
            raise InputError(f"{said}, got shape {list(values.shape)}")
        if not values.is_floating_point():
            raise InputError(f"{said}, got {values.dtype}")
        if torch.is_grad_enabled() and any(state.requires_grad for state in states.values()) and not values.requires_grad:
            raise InputError(
                f"the function {self.name} gives no gradient with respect to its states; compute it with torch alone, without "
                "detach, numpy or argmax, or search without gradients: crp, genetic, random"
            )
        values = values.float().to(mask.device)
        if not values.isfinite().all() and all(bool(state.isfinite().all()) for state in states.values()):
            what = "NaN" if values.isnan().any() else "infinity"
            raise InputError(f"the function {self.name} returns {what} for finite states; clamp what goes into its log, sqrt or division")
        return values


def _attribute(found: Any, path: str) -> Any:
    for name in path.split("."):
        found = getattr(found, name, None)
    return found


def _digest(function: Any) -> str:
    """A short hash of what a function does: its code, and the numbers that it encloses. The same in every process."""
    found = hashlib.sha256()
    for part in _content(function, set()):
        found.update(part)
    return found.hexdigest()[:8]


def _content(value: Any, seen: set[int]) -> Iterator[bytes]:
    code = getattr(value, "__code__", None)
    match value:
        case Tensor() | np.ndarray():
            yield from _numbers(value)
        case str() | bytes() | int() | float() | None:
            yield repr(value).encode()
        case tuple() | list():
            for item in value:
                yield from _content(item, seen)
        case CodeType():
            yield value.co_code + repr(value.co_names).encode()
            yield from _content(value.co_consts, seen)
        case _ if code is not None and id(value) not in seen:  # a function may enclose itself
            seen.add(id(value))
            cells = [cell.cell_contents for cell in getattr(value, "__closure__", None) or () if cell != CellType()]
            for part in (code, cells, getattr(value, "__defaults__", None)):
                yield from _content(part, seen)
        case _:
            yield type(value).__qualname__.encode()


def _numbers(value: Tensor | np.ndarray) -> Iterator[bytes]:
    """The numbers of an array; of one that cannot be read as real numbers, its type and shape."""
    yield f"{tuple(value.shape)} {value.dtype}".encode()
    with contextlib.suppress(InputError):
        yield as_float32(value, "an array").numpy().tobytes()


def _shapes(states: dict[str, Tensor]) -> str:
    return ", ".join(f"{site} {list(state.shape)}" for site, state in states.items())
