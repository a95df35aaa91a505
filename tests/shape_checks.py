"""What checks annotations under pytest: beartype, with an int accepted where a float is (PEP 484).

Checks of every call would take most of the time of the tests: a search calls the same functions with the same shapes in every round.
"""

import itertools

import jaxtyping
from beartype import BeartypeConf, beartype

check = beartype(conf=BeartypeConf(is_pep484_tower=True))
FIRST, EVERY = 100, 101  # calls of a test that are all checked; after them one in so many is


class Sampled:
    """Whether jaxtyping leaves out the check of a call: asked anew at each one."""

    def __init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Count the calls from 0 again."""
        self._calls = itertools.count()

    def __bool__(self) -> bool:
        call = next(self._calls)
        return call >= FIRST and call % EVERY != 0


_whole = jaxtyping.jaxtyped


def _with_checks(*, typechecker):
    """What the import hook decorates with: local functions stay as they are, for each call of the one around would compile their checks."""
    decorate = _whole(typechecker=typechecker)
    return lambda found: found if "<locals>" in getattr(found, "__qualname__", "") else decorate(found)


sampled = Sampled()
jaxtyping.jaxtyped = _with_checks
jaxtyping.config.jaxtyping_disable = sampled
