"""What testing a label costs, and what it tells of labels made of frequent words: a neuron's own, and those of the next one."""

import time
from collections.abc import Iterator

import numpy as np
from benchmarks.setup import Result, Settings, Unit, drawn_units, open_corpus, open_model, targets_at

from optigram.explaining.ground import Ground
from optigram.explaining.texts import Words
from optigram.explaining.verify import verify
from optigram.models.base import Model

WINDOWS, TOP, NAMED = 400, 6, 2  # windows that labels are made from, the highest of them, and their words that make a label
OWN, OTHER = "its own", "the next neuron's"

Context = tuple[Model, Settings]


def units(settings: Settings) -> Iterator[Unit]:
    """A unit per budget, site and kind of label."""
    for budget in settings.budgets:
        for site in settings.sites:
            yield from ({"site": site, "budget": float(budget), "label": label} for label in (OWN, OTHER))


def tested(context: Context, unit: Unit, seed: int) -> list[Result]:
    """All neurons of a site with labels of one kind, by the default judge."""
    model, settings = context
    corpus, site = open_corpus(model, settings), unit["site"]
    targets = targets_at(model, [f"{site}:{number}" for number in drawn_units(model, site, settings.targets)])
    ground = Ground.of(model, targets, corpus, WINDOWS, seed + 1)
    labels = [_label(ground, row) for row in range(len(targets))]
    labels = labels if unit["label"] == OWN else labels[1:] + labels[:1]
    judge = str(settings.option("judge", "")) or None
    found, seconds, last = [], [], time.process_time()
    for one in verify(model, list(zip(targets, labels, strict=True)), judge, corpus, unit["budget"], seed):
        found.append(one)
        seconds.append(time.process_time() - last)
        last = time.process_time()
    gains = [one.gain for one in found if np.isfinite(one.gain)]
    metrics = {
        "seconds": float(np.median(seconds)),
        "longest": max(seconds),
        "contradicted": float(np.mean([bool(one.counterexamples) for one in found])),
        "counterexamples": float(np.mean([len(one.counterexamples) for one in found])),
        "detection": float(np.nanmean([one.predictions[0].detection.value for one in found])) if gains else 0.5,
        "gain": float(np.mean(gains)) if gains else 0.0,
        "neurons": len(found),
    }
    texts = [
        {"target": one.target, "label": one.description, "against": each.text, "kind": each.kind}
        for one in found
        for each in one.counterexamples[:1]
    ]
    return [Result(metrics, texts)]


def setup(settings: Settings) -> Context:
    """The model, opened once."""
    return open_model(settings.model), settings


def _label(ground: Ground, row: int) -> str:
    """The most frequent words of a neuron's highest windows."""
    counts: dict[str, int] = {}
    for at in np.argsort(-ground.values[row], kind="stable")[:TOP].tolist():
        for word in Words.content(ground.windows[at]):
            counts[word] = counts.get(word, 0) + 1
    return " or ".join(sorted(counts, key=lambda word: -counts[word])[:NAMED]) or "nothing"
