"""The one exception that a user's mistake raises: what was expected, what came, and what to do about it."""

import difflib
from collections.abc import Iterable


class InputError(ValueError):
    """Bad input from outside. Its message is a single line that names the remedy; the command line exits with 2."""


def nearest(word: str, known: Iterable[str], most: int = 3) -> str:
    """The known names nearest to `word`, as the tail of an error message; empty if none is near."""
    close = difflib.get_close_matches(word, list(known), n=most, cutoff=0.5)
    return f"; did you mean {', '.join(close)}?" if close else ""
