"""Errors that a user meets: bad input, and an interrupted run."""

import difflib
from collections.abc import Iterable
from typing import Any

LONGEST = 1000  # characters of a message


class InputError(ValueError):
    """Bad input. The message is one line: what was expected, what came, what to do. The command line exits with 2.

    Line breaks in it become blanks, signs that a terminal obeys, such as those that turn the direction of a line, become their codes,
    and the middle of a message of more than 1,000 characters is left out.
    """

    def __init__(self, message: str) -> None:
        said = one_line(message)
        super().__init__(said if len(said) <= LONGEST else f"{said[: LONGEST // 2]} ... {said[-LONGEST // 2 :]}")


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
