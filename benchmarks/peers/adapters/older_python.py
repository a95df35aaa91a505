"""TROPT 0.1.1 asks for Python 3.10, and is importable from 3.12 on only: there a slice may be the default of a dataclass's field.

Its code is run as it is; while it is imported, dataclasses take such a default as a default factory, which comes to the same.
"""

import contextlib
import dataclasses
import functools
from collections.abc import Iterator
from typing import Any


@contextlib.contextmanager
def slices_as_defaults() -> Iterator[None]:
    """Let dataclasses that are made within have fields whose default is a slice."""
    made = dataclasses.dataclass

    def lenient(kind: type | None = None, **settings: Any) -> Any:
        if kind is None:
            return functools.partial(lenient, **settings)
        for name, value in list(vars(kind).items()):
            if isinstance(value, slice):
                setattr(kind, name, dataclasses.field(default_factory=functools.partial(slice, value.start, value.stop, value.step)))
        return made(kind, **settings)

    dataclasses.dataclass = lenient
    try:
        yield
    finally:
        dataclasses.dataclass = made
