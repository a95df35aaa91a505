"""The overview of a report: what was run, its cost and its results, for each arm of a study by itself."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from optigram.optimize.baseline import BASELINE
from optigram.report import charts
from optigram.report.comparisons import duration
from optigram.runs.folder import RunFolder
from optigram.runs.records import CORPUS_SECONDS, Record
from optigram.study.evidence import Evidence
from optigram.study.statistics import Comparison, activations, grouped, site_of

COLOURS = ("crp", "emb", "logit", "smx", "gbl")  # classes c0 to c4; other methods get the ones after
N_GRAMS = "n-grams of the corpus, in a random order"
SAMPLED = "sampled from the model"
SPARE = 4  # colours for other methods


@dataclass(frozen=True)
class _Row:
    """One method against corpus search, as a row of the table."""

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
    """One site of an arm: its table, and its charts by title."""

    site: str
    neurons: int
    rows: Sequence[_Row]
    drawings: Mapping[str, Markup]


@dataclass(frozen=True)
class _Part:
    """One arm of a study, or a whole run."""

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


def overview(kept: RunFolder, evidence: Sequence[Evidence]) -> dict[str, Any]:
    """The `lead`, `facts` and `parts` (one per arm) of a run's page."""
    return {"lead": _lead(kept), "facts": _facts(kept, evidence), "parts": _parts(kept.records, evidence)}


def _parts(records: Sequence[Record], evidence: Sequence[Evidence]) -> list[_Part]:
    """An overview of each arm."""
    comparisons = Comparison.all_of(records)
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


def _facts(kept: RunFolder, evidence: Sequence[Evidence]) -> dict[str, str]:
    """What was run, a few words per fact."""
    firsts = [record for record in kept.records if record.rank == 1]
    settings = kept.settings
    told: dict[str, Any] = {
        "model": settings.get("model", kept.records[0].model),
        "corpus": kept.manifest.get("corpus") or settings.get("corpus") or (SAMPLED if _searched(firsts) and kept.sampled else None),
        "n-grams": f"{evidence[0].sizes[-1]:,} different" if evidence and evidence[0].sizes else None,
        "neurons": f"{len({(record.model, record.target) for record in firsts}):,}",
        "free words": settings.get("length") or (len(evidence[0].heats[0].words) if evidence and evidence[0].heats else None),
        "template": settings.get("template"),
        "cost": f"{_spent(kept):,.0f} forward-equivalents",
        "time": f"{duration(_seconds(kept))} of one process",
        "made by": ", ".join(f"{name} {kept.manifest['versions'][name]}" for name in ("optigram", "torch")),
    }
    return {name: str(value) for name, value in told.items() if value}


def _lead(kept: RunFolder) -> str:
    """What the page is about, in two sentences."""
    methods, neurons = _methods(kept.records), {(record.model, record.target) for record in kept.records}
    models = ", ".join(dict.fromkeys(record.model for record in kept.records))
    count = f"{len(neurons):,} {'neuron' if len(neurons) == 1 else 'neurons'} of {models}"
    return (
        f"What text makes {count} fire most? Texts by {', '.join(methods)}; every activation was computed by the model itself, "
        "from the discrete text."
    )


def _spent(kept: RunFolder) -> float:
    """Forward-equivalents of all searches. A run of `find` searches its corpus once for all methods that start from it."""
    firsts = [record for record in kept.records if record.rank == 1]
    if kept.study is not None:
        return sum(record.total_forwards for record in firsts)
    searched = {(record.model, record.target) for record in firsts if record.method == BASELINE}
    read = {
        key: record.corpus_forwards
        for record in firsts
        if (key := (record.model, record.target)) not in searched and record.corpus_forwards
    }
    return sum(record.forwards + record.backwards for record in firsts) + sum(read.values())


def _seconds(kept: RunFolder) -> float:
    """Seconds of all searches; as in `_spent`, a corpus search that several methods of a run start from counts once."""
    firsts = [record for record in kept.records if record.rank == 1]
    if kept.study is not None:
        return sum(record.seconds for record in firsts)
    read = {(record.model, record.target): record.notes.get(CORPUS_SECONDS, 0.0) for record in firsts if record.corpus_forwards}
    searched = {(record.model, record.target) for record in firsts if record.method == BASELINE}
    own = sum(record.seconds - record.notes.get(CORPUS_SECONDS, 0.0) for record in firsts)
    return own + sum(seconds for key, seconds in read.items() if key not in searched)


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
    for site, here in grouped(records, lambda record: site_of(record.target)).items():
        mine = [one for one in comparisons if one.arm == arm and one.site == site]
        methods = [method for method in _methods(here) if method != BASELINE]
        levels = {one.method: one.ratio.value for one in mine if one.ratio.value == one.ratio.value}
        neurons = {(record.model, record.target) for record in here}
        around = [one for one in evidence if (one.model, one.target) in neurons and one.best]
        sizes, best = around[0].sizes if around else [], [one.best for one in around]
        over = ratios(here, methods, activations(here, BASELINE))
        drawn = {
            "Each neuron against its best corpus text": charts.boxes(over, colours, "activation / best of the corpus", site),
            "Activation of the best text so far": charts.curves(here, methods, colours, site),
            "What a larger corpus would bring": charts.growth(sizes, best, levels, colours, N_GRAMS, site),
        }
        yield _Panel(
            site, len(neurons), [_row(one, colours) for one in mine], {name: one for name, one in drawn.items() if one is not None}
        )


def _row(one: Comparison, colours: Mapping[str, str]) -> _Row:
    colour = colours[one.method]
    picture = charts.interval(one.wins.low, one.wins.value, one.wins.high, colour)
    p = "< 0.001" if one.holm < 0.001 else f"{one.holm:.3f}"
    return _Row(one.method, colour, one.show_wins(), picture, one.ratio.show(), p, f"{one.forwards:,.0f}", one.neurons)
