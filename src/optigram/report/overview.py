"""The overview of a report: what was run, at what cost, and what came out, each arm of a study by itself."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from optigram.report import charts as drawings
from optigram.report.comparisons import duration, show
from optigram.runs.folder import RunFolder
from optigram.runs.records import Record
from optigram.study.evidence import Evidence
from optigram.study.statistics import BASELINE, Comparison, activations, compare, grouped, site_of

COLOURS = ("crp", "emb", "logit", "smx", "gbl")  # classes c0 to c4; other methods get the ones after
N_GRAMS = "n-grams of the corpus, in a random order"
SPARE = 4  # colours for other methods


@dataclass(frozen=True)
class _Row:
    """One method against corpus search, as the table shows it."""

    method: str
    colour: str
    wins: str
    picture: Markup
    ratio: str
    p: str
    forwards: str
    neurons: int


@dataclass(frozen=True)
class _Panel:
    """One site of an arm: its table, and its drawings by title."""

    site: str
    neurons: int
    rows: Sequence[_Row]
    drawings: Mapping[str, Markup]


@dataclass(frozen=True)
class _Part:
    """One arm, or the whole of a run that has none."""

    arm: str
    model: str
    panels: Sequence[_Panel]
    methods: Mapping[str, str]  # classes


def colours_of(methods: Sequence[str]) -> dict[str, str]:
    """The class of each method's colour: the same for all variants of a method."""
    labels = list(dict.fromkeys(method.partition(":")[0] for method in methods))
    others = [label for label in labels if label not in COLOURS]
    numbers = {label: COLOURS.index(label) if label in COLOURS else len(COLOURS) + others.index(label) % SPARE for label in labels}
    return {method: f"c{numbers[method.partition(':')[0]]}" for method in methods}


def parts_of(records: Sequence[Record], evidence: Sequence[Evidence]) -> list[_Part]:
    """An overview of each arm."""
    comparisons = compare(records)
    colours = colours_of([BASELINE, *dict.fromkeys(record.method for record in records)])
    return [
        _Part(
            arm,
            here[0].model,
            list(_panels(arm, here, comparisons, evidence, colours)),
            {method: colours[method] for method in _methods(here)},
        )
        for arm, here in grouped(records, lambda record: record.arm).items()
    ]


def facts(kept: RunFolder, evidence: Sequence[Evidence]) -> dict[str, str]:
    """What was run, in a few words each."""
    firsts = [record for record in kept.records if record.rank == 1]
    settings = kept.settings
    told: dict[str, Any] = {
        "model": settings["model"],
        "corpus": kept.manifest.get("corpus") or settings.get("corpus") or ("the model's own sentences" if _searched(firsts) else None),
        "n-grams": f"{evidence[0].sizes[-1]:,} different" if evidence and evidence[0].sizes else None,
        "neurons": f"{len({(record.model, record.target) for record in firsts}):,}",
        "free words": settings.get("length") or (len(evidence[0].heats[0].words) if evidence and evidence[0].heats else None),
        "template": settings.get("template"),
        "cost": f"{sum(record.forwards + record.backwards for record in firsts):,.0f} forward-equivalents",
        "time": f"{duration(sum(record.seconds for record in firsts))} of one process",
        "made by": ", ".join(f"{name} {kept.manifest['versions'][name]}" for name in ("optigram", "torch")),
    }
    return {name: str(value) for name, value in told.items() if value}


def headline(records: Sequence[Record]) -> list[tuple[str, str]]:
    """The strongest finding of the first arm, for each site: a figure, and what it is."""
    told = []
    first = records[0].arm
    for site, here in grouped([one for one in compare(records) if one.arm == first], lambda one: one.site).items():
        best = max(here, key=lambda one: (one.wins.value, one.ratio.value))
        told.append((f"{best.wins.value:.0%}", f"of {best.neurons} neurons of {site}: {best.method} beats corpus search"))
        if best.ratio.value == best.ratio.value:
            told.append((f"{best.ratio.value:.2f} x", f"the corpus's best activation, for the median neuron of {site} by {best.method}"))
    return told


def _searched(records: Sequence[Record]) -> bool:
    return any(record.method == BASELINE for record in records)


def _methods(records: Sequence[Record]) -> list[str]:
    return list(dict.fromkeys(record.method for record in records))


def ratios(records: Sequence[Record], methods: Sequence[str], base: Mapping[str, float]) -> dict[str, dict[str, float]]:
    """By method and target: the activation over a base of the target, where that is positive."""
    return {
        method: {target: value / base[target] for target, value in activations(records, method).items() if base.get(target, 0) > 0}
        for method in methods
    }


def _panels(
    arm: str, records: Sequence[Record], comparisons: Sequence[Comparison], evidence: Sequence[Evidence], colours: Mapping[str, str]
) -> Iterator[_Panel]:
    for site, here in grouped(records, site_of).items():
        mine = [one for one in comparisons if one.arm == arm and one.site == site]
        methods = [method for method in _methods(here) if method != BASELINE]
        levels = {one.method: one.ratio.value for one in mine if one.ratio.value == one.ratio.value}
        neurons = {(record.model, record.target) for record in here}
        around = [one for one in evidence if (one.model, one.target) in neurons and one.best]
        sizes, best = around[0].sizes if around else [], [one.best for one in around]
        over = ratios(here, methods, activations(here, BASELINE))
        drawn = {
            "Each neuron against its best of the corpus": drawings._boxes(over, colours, "activation / best of the corpus", site),
            "Best so far, as the search goes on": drawings._curves(here, methods, colours, site),
            "What a larger corpus would bring": drawings._growth(sizes, best, levels, colours, N_GRAMS, site),
        }
        yield _Panel(
            site, len(neurons), [_row(one, colours) for one in mine], {name: one for name, one in drawn.items() if one is not None}
        )


def _row(one: Comparison, colours: Mapping[str, str]) -> _Row:
    colour = colours[one.method]
    picture = drawings._interval(one.wins.low, one.wins.value, one.wins.high, colour)
    p = "< 0.001" if one.holm < 0.001 else f"{one.holm:.3f}"
    return _Row(one.method, colour, show(one.wins, percent=True), picture, show(one.ratio), p, f"{one.forwards:,.0f}", one.neurons)
