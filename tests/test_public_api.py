"""The public API, as a text that a change must renew: RENEW=1 python -m pytest tests/test_public_api.py."""

import dataclasses
import difflib
import inspect
import os
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import optigram

KINDS = {classmethod: "classmethod", staticmethod: "staticmethod"}
STORED = Path(__file__).with_name("public_api.txt")


def described() -> str:
    """A line for each public name with its signature, and one for each public member of a class."""
    lines = (line for name in sorted(optigram.__all__) for line in lines_of(name, getattr(optigram, name)))
    return "".join(f"{plain(line)}\n" for line in lines)


def lines_of(name: str, found: Any) -> Iterator[str]:
    if isinstance(found, ModuleType):
        own = [each for each, value in vars(found).items() if public(each) and getattr(value, "__module__", None) == found.__name__]
        yield f"module {name}: {', '.join(sorted(getattr(found, '__all__', own)))}"
    elif inspect.isclass(found):
        yield f"class {name}{signature(found)}"
        yield from (f"  {line}" for line in members_of(found))
    elif callable(found):
        yield f"def {name}{signature(found)}"
    else:
        yield f"{name}: {type(found).__name__}"


def members_of(kind: type) -> Iterator[str]:
    """Methods and properties that are defined in this package; the fields of a data class stand in its signature."""
    fields = {field.name for field in dataclasses.fields(kind)} if dataclasses.is_dataclass(kind) else set()
    own = [each for each in kind.__mro__ if each.__module__.startswith("optigram.")]
    for name in sorted(filter(public, {name for each in own for name in vars(each)} - fields)):
        found = inspect.getattr_static(kind, name)
        called = found.__func__ if isinstance(found, classmethod | staticmethod) else found
        if inspect.isroutine(called):
            yield f"{KINDS.get(type(found), 'def')} {name}{signature(called)}"
        elif isinstance(found, property) or hasattr(found, "func"):
            yield f"property {name}"


def public(name: str) -> bool:
    return not name.startswith("_")


def signature(called: Any) -> str:
    """Parameters, their defaults and what is returned; types as the annotations have them."""
    try:
        return str(inspect.signature(called))
    except (TypeError, ValueError):  # an exception's, for one
        return "(...)"


def plain(line: str) -> str:
    """Without addresses in memory, and with the short names of types."""
    line = re.sub(r" at 0x[0-9a-f]+", "", line)
    return re.sub(r"\b(?:optigram|torch|numpy|jaxtyping|collections|pathlib|typing)\.(?:\w+\.)*(?=\w)", "", line)


def test_the_public_api_is_the_stored_one():
    found = described()
    if os.environ.get("RENEW"):
        STORED.write_text(found, encoding="utf-8")
    stored = STORED.read_text(encoding="utf-8")
    changes = "\n".join(difflib.unified_diff(stored.splitlines(), found.splitlines(), "tests/public_api.txt", "optigram", lineterm="", n=0))
    assert changes == "", f"the public API has changed; if that is meant: RENEW=1 python -m pytest tests/test_public_api.py\n{changes}"


def test_every_public_name_is_documented():
    without = [name for name in optigram.__all__ if not inspect.getdoc(getattr(optigram, name))]
    assert without == []
