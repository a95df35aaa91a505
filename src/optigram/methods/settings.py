"""Checks of the settings of methods and relaxations."""

import math

from optigram.errors import InputError


def check_settings(owner: object, **least: float) -> None:
    """Raise InputError for the first setting of `owner` that is below its least value; an int bound asks for a whole number."""
    for name, bound in least.items():
        value = getattr(owner, name)
        kind = int if isinstance(bound, int) else (int, float)
        if isinstance(value, bool) or not isinstance(value, kind) or not bound <= value < math.inf:
            what = "a whole number" if isinstance(bound, int) else "a number"
            raise InputError(f"expected {what} of at least {bound:g} as {type(owner).__name__}({name}=...), got {value!r}")
