"""Colours of words in a terminal and in a notebook: orange where a word adds to the activation, blue where it lowers it."""

import math
from collections.abc import Sequence

INK = "#1d1c1a"  # of words on a colour
ADDS, LOWERS = (240, 136, 42), (74, 143, 214)
FAINTEST = 0.12  # share of the strongest change below which a word has no colour


def shade(activation: float, without: Sequence[float | None]) -> tuple[list[str | None], int | None]:
    """A colour per word ("#rrggbb", or None for none), by the square root of its change; and the word that adds most, if any adds."""
    changes = [0.0 if rest is None else activation - rest for rest in without]
    most = max(map(abs, changes), default=0.0)
    shares = [abs(change) / most if most else 0.0 for change in changes]
    colours = [
        _mixed(ADDS if change > 0 else LOWERS, share**0.5) if share > FAINTEST else None
        for change, share in zip(changes, shares, strict=True)
    ]
    top = max(range(len(changes)), key=lambda i: changes[i], default=None)
    return colours, top if top is not None and changes[top] > 0 else None


def lit(values: Sequence[float]) -> list[str | None]:
    """A colour per token by its activation, as a share of the strongest among them; None for none, and for what is not finite."""
    most = max((abs(value) for value in values if math.isfinite(value)), default=0.0) or 1.0
    shares = [abs(value) / most if math.isfinite(value) else 0.0 for value in values]
    return [_mixed(ADDS if value > 0 else LOWERS, share) if share > FAINTEST else None for value, share in zip(values, shares, strict=True)]


def _mixed(colour: tuple[int, int, int], share: float) -> str:
    """The given share of a colour, mixed with white."""
    return "#" + "".join(f"{round(255 + (part - 255) * share):02x}" for part in colour)
