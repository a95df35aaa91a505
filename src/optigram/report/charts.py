"""SVG charts of the overview: boxes per method (the paper's Figure 1), best so far against cost, best against corpus size."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup, escape

from optigram.optimize.baseline import BASELINE
from optigram.runs.records import Record
from optigram.study.statistics import curve

WIDTH, LEFT, RIGHT, TOP, BOTTOM = 360.0, 40.0, 14.0, 8.0, 40.0
LETTER, LINE = 7.2, 14.0  # width of a letter of a name, at most; height of a line of text
NAME = 12  # letters of a name beside a line
ROW = 46.0  # height of a box's row
TALL = 250.0  # height of the curves
Colours = Mapping[str, str]  # class by method
Attribute = str | float


def _element(name: str, attributes: dict[str, Attribute], *inside: Markup | str) -> Markup:
    """An element; numbers get two decimals, texts and attributes are escaped."""
    written = "".join(f' {key}="{escape(value if isinstance(value, str) else _number(value))}"' for key, value in attributes.items())
    return Markup(f"<{name}{written}>") + Markup("").join(escape(part) for part in inside) + Markup(f"</{name}>")


def _number(value: float) -> str:
    """A number with at most two decimals, without trailing zeros."""
    return f"{value:.2f}".rstrip("0").rstrip(".")


def _text(x: float, y: float, words: str, kind: str = "", anchor: str = "start") -> Markup:
    """A line of text whose middle is at the height y."""
    return _element("text", {"x": x, "y": y, "class": kind, "text-anchor": anchor, "dominant-baseline": "central"}, words)


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> Markup:
    """A straight line."""
    return _element("line", {"x1": x1, "y1": y1, "x2": x2, "y2": y2, "class": kind})


def _path(points: Sequence[tuple[float, float]], kind: str, closed: bool = False) -> Markup:
    """A line through points."""
    steps = "L".join(f"{_number(x)} {_number(y)}" for x, y in points)
    return _element("path", {"d": f"M{steps}{'Z' if closed else ''}", "class": kind})


def _drawing(width: float, height: float, label: str, *inside: Markup) -> Markup:
    """A drawing that scales with its container; `label` is its text for screen readers."""
    return _element(
        "svg", {"viewBox": f"0 0 {_number(width)} {_number(height)}", "role": "img", "aria-label": label, "class": "drawing"}, *inside
    )


@dataclass(frozen=True)
class _Scale:
    """A map from values between `low` and `high` to places between `start` and `end`, linear or logarithmic (`log`)."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def at(self, value: float) -> float:
        """The place of a value; values outside are clipped to the edge."""
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


def _brief(value: float) -> str:
    """A tick's label: "0.5", "200", "10k", "2.5M"."""
    for size, sign in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= size:
            return f"{value / (1e3 if sign == 'k' else size):g}{sign}"
    return f"{value:g}"


def boxes(found: Mapping[str, Mapping[str, float]], colours: Colours, axis: str, title: str, rule: float | None = 1.0) -> Markup | None:
    """A row per name: a point per neuron, quartiles, whiskers to 1.5 quartile distances; `rule` is a marked value."""
    found = {name: values for name, values in found.items() if values}
    if not found:
        return None
    everything = [value for values in found.values() for value in values.values()]
    left = max(2 * LEFT, 18 + LETTER * max(map(len, found)))
    x = _Scale(min(0.0, min(everything)), max(1.05, max(everything) * 1.02), left, WIDTH - RIGHT)
    height = TOP + ROW * len(found) + BOTTOM
    parts = _axis(x, height - BOTTOM, TOP, axis)
    parts += [] if rule is None else [_line(x.at(rule), TOP, x.at(rule), height - BOTTOM, "rule")]
    for row, (name, values) in enumerate(found.items()):
        parts.append(_box(x, TOP + ROW * (row + 0.5), name, values, colours[name]))
    return _drawing(WIDTH, height, f"{title}: {axis}", *parts)


def curves(records: Sequence[Record], methods: Sequence[str], colours: Colours, title: str) -> Markup | None:
    """A line per method: the activation of the best text so far over the best of the corpus, against cost; median and quartiles."""
    lines = {
        method: [point for point in curve(records, method) if all(map(math.isfinite, point))] for method in methods if method != BASELINE
    }
    lines = {method: points for method, points in lines.items() if len(points) > 1}
    if not lines:
        return None
    points = [point for found in lines.values() for point in found]
    x = _Scale(min(p[0] for p in points), max(p[0] for p in points), LEFT, WIDTH - _margin(lines), log=True)
    y = _Scale(min(0.0, min(p[1] for p in points)), max(1.1, max(p[3] for p in points) * 1.03), TALL - BOTTOM, TOP)
    parts = [*_frame(x, y, "forward-equivalents per neuron, corpus search included"), _line(x.start, y.at(1), x.end, y.at(1), "rule")]
    for method, found in lines.items():
        upper, lower = [(x.at(p[0]), y.at(p[3])) for p in found], [(x.at(p[0]), y.at(p[1])) for p in found]
        parts.append(_path([*upper, *lower[::-1]], f"band {colours[method]}", closed=True))
        parts.append(_path([(x.at(p[0]), y.at(p[2])) for p in found], f"line {colours[method]}"))
    parts += _names({method: y.at(found[-1][2]) for method, found in lines.items()}, x.end + 6, colours)
    return _drawing(
        WIDTH,
        TALL,
        f"{title}: activation of the best text so far over the best of the corpus, against forward-equivalents per neuron",
        *parts,
    )


def growth(
    sizes: Sequence[float], best: Sequence[Sequence[float]], levels: Mapping[str, float], colours: Colours, axis: str, title: str
) -> Markup | None:
    """The best of a part of the corpus over the best of all of it, against its size, with each method's median as a line.

    `best` [neurons, sizes].
    """
    known = [np.array(values) / values[-1] for values in best if values[-1] > 0]
    if not known:
        return None
    low, middle, high = np.quantile(np.stack(known), [0.25, 0.5, 0.75], axis=0)
    x = _Scale(sizes[0], max(sizes[-1], sizes[0] + 1), LEFT, WIDTH - _margin(["corpus", *levels]), log=True)
    y = _Scale(min(0.0, low.min()), max(1.05, *(level * 1.05 for level in levels.values())) if levels else 1.05, TALL - BOTTOM, TOP)
    upper, lower = ([(x.at(size), y.at(value)) for size, value in zip(sizes, values, strict=True)] for values in (high, low))
    parts = _frame(x, y, axis)
    parts.append(_path([*upper, *lower[::-1]], f"band {colours[BASELINE]}", closed=True))
    parts.append(_path([(x.at(size), y.at(value)) for size, value in zip(sizes, middle, strict=True)], f"line {colours[BASELINE]}"))
    for method, level in levels.items():
        parts.append(_line(x.start, y.at(level), x.end, y.at(level), f"level {colours[method]}"))
    heights = {"corpus": y.at(float(middle[-1])), **{method: y.at(level) for method, level in levels.items()}}
    parts += _names(heights, x.end + 6, {**colours, "corpus": colours[BASELINE]})
    return _drawing(WIDTH, TALL, f"{title}: the best of the corpus against its size, with each method's median", *parts)


def interval(low: float, value: float, high: float, colour: str, least: float = 0.0, most: float = 1.0) -> Markup:
    """An estimate and its interval on a line from `least` to `most`, for a table's cell."""
    x = _Scale(least, most, 4, 116)
    parts = [_line(4, 9, 116, 9, "grid"), _line(x.at((least + most) / 2), 3, x.at((least + most) / 2), 15, "rule")]
    parts += [
        _line(x.at(low), 9, x.at(high), 9, f"whisker {colour}"),
        _element("circle", {"cx": x.at(value), "cy": 9, "r": 4, "class": f"dot {colour}"}),
    ]
    return _element("svg", {"viewBox": "0 0 120 18", "class": "interval", "aria-hidden": "true"}, *parts)


def _box(x: _Scale, y: float, method: str, values: Mapping[str, float], colour: str) -> Markup:
    numbers = np.array(list(values.values()))
    low, middle, high = np.quantile(numbers, [0.25, 0.5, 0.75])
    reach = 1.5 * (high - low)
    least, most = numbers[numbers >= low - reach].min(), numbers[numbers <= high + reach].max()
    sideways = np.random.default_rng(0).uniform(-13, 13, len(numbers))
    dots = [
        _element(
            "circle",
            {"cx": x.at(value), "cy": y + shift, "r": 1.8, "class": f"point {colour}"},
            _element("title", {}, f"{target} {value:.2f}"),
        )
        for (target, value), shift in zip(values.items(), sideways.tolist(), strict=True)
    ]
    parts = [
        *dots,
        _line(x.at(float(least)), y, x.at(float(most)), y, f"whisker {colour}"),
        _element(
            "rect", {"x": x.at(low), "y": y - 9, "width": max(x.at(high) - x.at(low), 1.0), "height": 18, "rx": 3, "class": f"box {colour}"}
        ),
        _line(x.at(middle), y - 9, x.at(middle), y + 9, f"middle {colour}"),
    ]
    return _element("g", {}, _text(x.start - 10, y, method, "name", "end"), *parts)


def _margin(names: Iterable[str]) -> float:
    """The room that names at the ends of lines need."""
    return RIGHT + LETTER * min(NAME, max(map(len, names)))


def _names(heights: Mapping[str, float], x: float, colours: Colours) -> list[Markup]:
    """Names at the ends of lines, moved apart where they would overlap."""
    ordered = sorted(heights, key=lambda name: heights[name])
    places: list[float] = []
    for name in ordered:
        places.append(max(heights[name], places[-1] + LINE if places else TOP + LINE / 2))
    lowest = TALL - BOTTOM
    for row in range(len(places) - 1, -1, -1):
        places[row] = min(places[row], lowest)
        lowest = places[row] - LINE
    return [
        _text(x, place, name if len(name) <= NAME else f"{name[: NAME - 1]}…", f"end {colours[name]}")
        for name, place in zip(ordered, places, strict=True)
    ]


def _axis(x: _Scale, bottom: float, top: float, title: str) -> list[Markup]:
    parts = []
    for tick in x.ticks(5):
        parts += [_line(x.at(tick), top, x.at(tick), bottom, "grid"), _text(x.at(tick), bottom + 12, _brief(tick), "tick", "middle")]
    return [*parts, _text((x.start + x.end) / 2, bottom + 30, title, "axis", "middle")]


def _frame(x: _Scale, y: _Scale, title: str) -> list[Markup]:
    parts = _axis(x, y.start, y.end, title)
    for tick in y.ticks(5):
        parts += [_line(x.start, y.at(tick), x.end, y.at(tick), "grid"), _text(x.start - 6, y.at(tick), _brief(tick), "tick", "end")]
    return parts
