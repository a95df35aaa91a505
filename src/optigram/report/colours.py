"""The colours of words where no page does it: in a terminal and in a notebook. Orange adds to the activation, blue takes away."""

from collections.abc import Sequence

from optigram.runs.records import Record
from optigram.study.evidence import Evidence, Heat

INK = "#1d1c1a"  # of words on a colour
ADDS, TAKES = (240, 136, 42), (74, 143, 214)
FAINTEST = 0.12  # of the strongest change: a word that changes less has no colour

Key = tuple[str, str, str, str, int, int]


def key_of(neuron: Evidence | Record, text: Heat | Record) -> Key:
    """What joins a record and its heat."""
    return neuron.model, neuron.target, text.arm, text.method, text.seed, text.rank


def shade(activation: float, without: Sequence[float | None]) -> tuple[list[str | None], int | None]:
    """A colour for each word ("#rrggbb", or None for none), by the root of its change; and which word adds most, if any adds."""
    changes = [0.0 if rest is None else activation - rest for rest in without]
    most = max(map(abs, changes), default=0.0)
    shares = [abs(change) / most if most else 0.0 for change in changes]
    colours = [
        _mixed(ADDS if change > 0 else TAKES, share**0.5) if share > FAINTEST else None
        for change, share in zip(changes, shares, strict=True)
    ]
    top = max(range(len(changes)), key=lambda i: changes[i], default=None)
    return colours, top if top is not None and changes[top] > 0 else None


def lit(values: Sequence[float]) -> list[str | None]:
    """A colour for the activation at each token, as a share of the strongest among them; None for none."""
    most = max(map(abs, values), default=0.0) or 1.0
    return [_mixed(ADDS if value > 0 else TAKES, abs(value) / most) if abs(value) / most > FAINTEST else None for value in values]


def _mixed(colour: tuple[int, int, int], share: float) -> str:
    """So much of a colour in white."""
    return "#" + "".join(f"{round(255 + (part - 255) * share):02x}" for part in colour)
