"""Small drawings as SVG text: elements, scales and ticks. Colours are the page's own, by class, so that drawings follow its theme."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

Attribute = str | float


def element(name: str, attributes: dict[str, Attribute], *inside: Markup | str) -> Markup:
    """One element; numbers get two decimals, texts and attributes are escaped."""
    written = "".join(f' {key}="{escape(value if isinstance(value, str) else number(value))}"' for key, value in attributes.items())
    return Markup(f"<{name}{written}>") + Markup("").join(escape(part) for part in inside) + Markup(f"</{name}>")


def number(value: float) -> str:
    """At most two decimals, and none that are zero."""
    return f"{value:.2f}".rstrip("0").rstrip(".")


def text(x: float, y: float, words: str, kind: str = "", anchor: str = "start") -> Markup:
    """A line of text whose middle is at the height y."""
    return element("text", {"x": x, "y": y, "class": kind, "text-anchor": anchor, "dominant-baseline": "central"}, words)


def line(x1: float, y1: float, x2: float, y2: float, kind: str) -> Markup:
    """A straight line."""
    return element("line", {"x1": x1, "y1": y1, "x2": x2, "y2": y2, "class": kind})


def path(points: Sequence[tuple[float, float]], kind: str, closed: bool = False) -> Markup:
    """A line through points."""
    steps = "L".join(f"{number(x)} {number(y)}" for x, y in points)
    return element("path", {"d": f"M{steps}{'Z' if closed else ''}", "class": kind})


def drawing(width: float, height: float, label: str, *inside: Markup) -> Markup:
    """A drawing that scales with its place; `label` is what it is read out as."""
    return element(
        "svg", {"viewBox": f"0 0 {number(width)} {number(height)}", "role": "img", "aria-label": label, "class": "drawing"}, *inside
    )


@dataclass(frozen=True)
class Scale:
    """From values between `low` and `high` to places between `start` and `end`; with `log` by their logarithm."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def at(self, value: float) -> float:
        """The place of a value; what lies outside is brought to the edge."""
        low, high, value = (math.log(v) if self.log else v for v in (self.low, self.high, min(max(value, self.low), self.high)))
        return self.start + (self.end - self.start) * ((value - low) / (high - low) if high > low else 0.5)

    def ticks(self, most: int = 6) -> list[float]:
        """Round values within the scale; with `log` powers of ten, and thirds of them where these are few."""
        if self.log:
            powers = [10.0**n for n in range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)]
            inside = [value for value in powers if self.low <= value <= self.high]
            return inside if len(inside) > 1 else [value for n in powers for value in (n, 2 * n, 5 * n) if self.low <= value <= self.high]
        if self.high <= self.low:
            return [self.low]
        rough = (self.high - self.low) / most
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(step * power for step in (1, 2, 2.5, 5, 10) if step * power >= rough)
        first = math.ceil(self.low / step - 1e-9)
        return [round(n * step, 10) for n in range(first, math.floor(self.high / step + 1e-9) + 1)]


def brief(value: float) -> str:
    """A tick's label: "0.5", "200", "10k", "2.5M"."""
    for size, sign in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= size:
            return f"{value / (1e3 if sign == 'k' else size):g}{sign}"
    return f"{value:g}"
