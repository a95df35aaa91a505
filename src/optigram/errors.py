"""Errors that a user meets: bad input, and an interrupted run."""

import difflib
from collections.abc import Iterable
from typing import Any


class InputError(ValueError):
    """Bad input. The message is one line: what was expected, what came, what to do. The command line exits with 2.

    Line breaks in it become blanks, and signs that a terminal obeys, such as those that turn the direction of a line, become their codes.
    """

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message))


def one_line(text: str) -> str:
    """The text on one line, without signs that a terminal obeys: "⟨U+202E⟩" for the one that turns the direction of what follows."""
    return "".join(sign if sign.isprintable() else f"⟨U+{ord(sign):04X}⟩" for sign in " ".join(text.split()))


class Interrupted(KeyboardInterrupt):
    """Ctrl-C ended a run. `results` holds everything found until then, of the type that the call would have returned."""

    def __init__(self, results: Any) -> None:
        super().__init__(f"interrupted; .results holds what was found until then: {results!r}")
        self.results = results


def nearest(word: str, known: Iterable[str], most: int = 3) -> str:
    """The known names nearest to `word`, as the tail of an error message; empty if none is near."""
    close = difflib.get_close_matches(word, list(known), n=most, cutoff=0.5)
    return f"; did you mean {', '.join(close)}?" if close else ""
