"""Matplotlib figures of records: activations by method (the paper's Figure 1), and best so far against cost."""

import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from optigram.errors import InputError
from optigram.files import written_whole
from optigram.optimize.baseline import BASELINE
from optigram.runs.records import Record
from optigram.study.statistics import activations, curve, site_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SUFFIXES = ("svg", "pdf", "png")
SHADES = ("#ffffff", "#e6e6e6", "#cfcfcf", "#b3b3b3", "#949494")  # distinct in grey, too
LINES = ("-", "--", "-.", ":", (0, (1, 1)), (0, (5, 1, 1, 1, 1, 1)))


def require_matplotlib() -> None:
    """Raise InputError, before any work, where matplotlib is not installed."""
    if importlib.util.find_spec("matplotlib") is None:
        raise InputError("figures need matplotlib; install it with: pip install 'optigram[figures]'")


def by_method(records: Sequence[Record], methods: Sequence[str], titles: Mapping[str, str], normalised: bool = False) -> "Figure":
    """A panel per site, a box per method: quartiles, whiskers to 1.5 quartile distances, a point per neuron.

    The number of neurons stands in a panel's title, and below a method where it has fewer.
    `titles` maps sites to titles. `normalised` divides by each neuron's best corpus text and leaves out neurons for which that
    is not positive; otherwise the unit is the model's own.
    """
    figure, axes = panels(len(titles))
    for panel, (site, title) in zip(axes, titles.items(), strict=True):
        here = [record for record in records if site_of(record.target) == site]
        base = activations(here, BASELINE)
        found = [activations(here, method) for method in methods]
        values = [
            [value / base[target] for target, value in one.items() if base.get(target, 0) > 0] if normalised else list(one.values())
            for one in found
        ]
        _boxes(panel, values)
        counts = ["" if len(some) == len(base) else f"\nn = {len(some)}" for some in values]
        labels = [method.replace(":", "\n").replace("+", "+\n") + count for method, count in zip(methods, counts, strict=True)]
        panel.set_xticks(range(1, len(methods) + 1), labels)
        panel.set_title(f"{title} ({len(base)} neurons)")
        if normalised:
            panel.axhline(1, color="black", linewidth=0.8, linestyle="--", zorder=0)
    axes[0].set_ylabel("activation / best of the corpus" if normalised else "activation (model's own units)")
    return figure


def curves(records: Sequence[Record], methods: Sequence[str], titles: Mapping[str, str]) -> "Figure":
    """A panel per site, a line per method: activation of the best text so far over the best corpus text, median over neurons."""
    figure, axes = panels(len(titles))
    for panel, (site, title) in zip(axes, titles.items(), strict=True):
        here = [record for record in records if site_of(record.target) == site]
        for number, method in enumerate(methods):
            points = np.array(curve(here, method)).reshape(-1, 4)
            points = points[np.isfinite(points).all(axis=1)]
            if len(points):
                panel.plot(points[:, 0], points[:, 2], color="black", linestyle=LINES[number % len(LINES)], label=method)
                panel.fill_between(points[:, 0], points[:, 1], points[:, 3], color="black", alpha=0.07, linewidth=0)
        panel.axhline(1, color="grey", linewidth=0.8)
        panel.set_xscale("log")
        panel.set_xlabel("forward-equivalents per neuron, corpus search included")
        panel.set_title(title)
    axes[0].set_ylabel("activation of the best text so far / best of the corpus")
    if axes[-1].get_lines()[:-1]:  # besides the line of the corpus
        axes[-1].legend(frameon=False, fontsize=8)
    return figure


def save(figure: "Figure", path: Path) -> None:
    """Write path.svg, path.pdf and path.png without a date, so that equal figures are equal files."""
    import matplotlib

    with matplotlib.rc_context({"svg.hashsalt": "optigram", "svg.fonttype": "none"}):
        for suffix in SUFFIXES:
            with written_whole(path.with_suffix(f".{suffix}")) as temporary:
                metadata = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(suffix)
                figure.savefig(temporary, format=suffix, dpi=200, metadata=metadata)


def panels(count: int) -> tuple["Figure", Sequence["Axes"]]:
    """A figure of `count` panels side by side."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(1.5 + 4.2 * count, 3.8), layout="constrained")
    axes = figure.subplots(1, count, squeeze=False)[0]
    for panel in axes:
        panel.spines[["top", "right"]].set_visible(False)
    return figure, list(axes)


def _boxes(panel: "Axes", values: Sequence[Sequence[float]]) -> None:
    """Boxes in shades of grey, and the neurons as faint points; their horizontal spread has no meaning."""
    drawn = panel.boxplot(values, widths=0.6, showfliers=False, patch_artist=True, medianprops={"color": "black", "linewidth": 1.6})
    sideways = np.random.default_rng(0)
    for number, (box, points) in enumerate(zip(drawn["boxes"], values, strict=True)):
        box.set_facecolor(SHADES[number % len(SHADES)])
        places = number + 1 + sideways.uniform(-0.22, 0.22, len(points))
        panel.plot(places, points, ".", color="black", markersize=2.5, alpha=0.35, zorder=3)
