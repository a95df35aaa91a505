"""How often searches find the true optimum, known by trying every text; and how much sooner than the authors' own settings."""

import functools
import itertools
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from benchmarks.quality.search import plain
from benchmarks.setup import Result, Settings, Unit, by_method, drawn_units, objective_of, open_corpus, open_imaginet
from torch import Tensor

from optigram.methods import Corpus, method_named
from optigram.models.imaginet import Imaginet
from optigram.objective.objective import Objective
from optigram.optimize.method import Method
from optigram.optimize.search import Budget, TargetResult, search
from optigram.runs.find import run_plan
from optigram.runs.plan import Plan
from optigram.study import statistics
from optigram.text.lexicon import lexicon

WORDS, KEPT, TRIPLE, PAIR = 50, 8, 3, 2
FEW, PAIRS = "3 words of 50", "2 words of the whole vocabulary"
ROUNDING = 2e-5  # of an activation: products of other shapes round differently


@dataclass(frozen=True)
class Optima:
    """A model, and the optimum of each target over all texts of a kind, computed once."""

    model: Imaginet
    targets: int

    def __hash__(self) -> int:
        return id(self)

    @functools.cache  # noqa: B019, an instance lives as long as its run
    def known(self, kind: str, site: str) -> tuple[Objective, list[float]]:
        """The objective of a contest, and the activation of each target's optimum."""
        if kind == PAIRS:
            objective = objective_of(self.model, site, self.targets, PAIR)
            return objective, objective.score(self._best_pairs(objective, site)).activation.amax(1).tolist()
        allowed = lexicon(self.model.vocabulary)
        few = np.sort(np.random.default_rng(0).choice(allowed, min(WORDS, len(allowed)), replace=False))
        objective = objective_of(self.model, site, self.targets, TRIPLE, words=few)
        texts = np.array(list(itertools.product(objective.lexicon.tolist(), repeat=TRIPLE)))
        return objective, [float(found.activation[0]) for found in search(objective, Corpus("every text", texts)).found if found]

    @torch.no_grad()
    def _best_pairs(self, objective: Objective, path: str) -> Tensor:
        """The best texts [k KEPT 2] of two words: a GRU's gates are products of the first state, and of the second word, added."""
        model, words, width = self.model, objective.lexicon, self.model.sizes.hidden
        weight, recurrent, bias, recurrent_bias = model.gru(path).all_weights[0]
        inputs = torch.nn.functional.linear(model.embedding[words], weight, bias)
        reset, update, new = (part.contiguous() for part in inputs.split(width, 1))
        first = model.read(model.embedding[words][:, None], [f"{path}.hidden"])[f"{path}.hidden"][:, 0]
        gates = torch.nn.functional.linear(first, recurrent, recurrent_bias)
        head, units = model.projection(path), drawn_units(model, path, self.targets)
        rows, offsets = head.weight[units].T.contiguous(), head.bias[units]
        best, pairs = torch.full((len(units), KEPT), -torch.inf), torch.zeros(len(units), KEPT, dtype=torch.int64)
        for number, (state, gate) in enumerate(zip(first, gates, strict=True)):
            keep = torch.sigmoid(update + gate[width : 2 * width])
            candidate = torch.tanh(torch.addcmul(new, torch.sigmoid(reset + gate[:width]), gate[2 * width :]))
            top = torch.addmm(offsets, torch.lerp(candidate, state.expand_as(candidate), keep), rows).max(0)
            if bool((top.values > best[:, -1]).any()):  # the best second word of each first one is enough for the best pair
                order = torch.cat([best, top.values[:, None]], 1).sort(1, descending=True)
                added = torch.cat([pairs, (number * len(words) + top.indices)[:, None]], 1)
                best, pairs = order.values[:, :KEPT], added.gather(1, order.indices[:, :KEPT])
        return torch.stack([words[pairs // len(words)], words[pairs % len(words)]], dim=2)


def setup(settings: Settings) -> Optima:
    """The model of the contest."""
    return Optima(open_imaginet(settings.model), settings.targets)


def units(settings: Settings) -> Iterator[Unit]:
    """Both kinds of texts, by site, method and budget."""
    yield from ({"texts": kind} | unit for kind in (FEW, PAIRS) for unit in by_method(settings))


def optimum(optima: Optima, unit: Unit, seed: int) -> list[Result]:
    """How many optima a method finds from random texts: activations that equal the optimum's up to rounding."""
    objective, known = optima.known(unit["texts"], unit["site"])
    records = run_plan(objective, Plan.of(unit["method"], objective, None, unit["budget"]), Budget(forwards=unit["budget"]), seed).records
    gaps = [1 - record.activation / best for record, best in zip(records, known, strict=True)]
    metrics: dict[str, Any] = {
        "found": plain(statistics.Interval.share(sum(gap < ROUNDING for gap in gaps), len(gaps))),
        "neurons": len(gaps),
        "gap": max(gaps),
        "spent": float(np.median([record.total_forwards for record in records])),
        "seconds": float(np.mean([record.seconds for record in records])),
    }
    return [Result(metrics, [{"target": r.target, "text": r.text, "activation": r.activation} for r in records])]


def faithful_setup(settings: Settings) -> tuple[Imaginet, np.ndarray, Settings]:
    """A model, and the ids of the words that its corpus has most often: of all words, or of so many as the option `words` says."""
    model = open_imaginet(settings.model)
    counts = Counter(word for text in open_corpus(model, settings).texts() for word in model.vocabulary.encode(text))
    ranked = sorted(lexicon(model.vocabulary).tolist(), key=lambda word: -counts[word])
    return model, np.sort(np.array(ranked[: settings.option("words", len(ranked))])), settings


def faithful_units(settings: Settings) -> Iterator[Unit]:
    """A unit per neuron, for each method, site and budget of `auto`: a run may take hours."""
    model = open_imaginet(settings.model)
    for unit in by_method(settings):
        yield from (unit | {"unit": number} for number in drawn_units(model, unit["site"], settings.targets))


def faithful(context: tuple[Imaginet, np.ndarray, Settings], unit: Unit, seed: int) -> list[Result]:
    """The authors' method to the end of its patience, and `auto` within its budget, both from random texts."""
    model, words, settings = context
    budget = unit["budget"]  # of auto
    objective = objective_of(model, unit["site"], settings.targets, settings.length, words=words)
    objective = objective.subset([drawn_units(model, unit["site"], settings.targets).index(unit["unit"])])
    theirs = _only(objective, method_named(unit["method"], budget, block=1), Budget(), seed)
    ours = _only(objective, method_named("auto", budget), Budget(forwards=budget), seed)
    value, end = float(theirs.activation[0]), theirs.forwards + theirs.backwards
    reached, as_good = _reached(theirs, value), _reached(ours, value)
    metrics = {
        "activation": value,
        "end": end,
        "reached": reached,
        "auto_activation": float(ours.activation[0]),
        "auto_as_good": as_good,
        "fewer": end / as_good if as_good else None,
        "fewer_reached": reached / as_good if as_good and reached else None,
    }
    told, target = model.vocabulary.decode, str(objective.targets[0])
    found = ((unit["method"], theirs), ("auto", ours))
    texts = [
        {"target": target, "method": by, "text": told(one.ids[0].tolist()), "activation": float(one.activation[0])} for by, one in found
    ]
    return [Result(metrics, texts, {"target": target})]


def _reached(found: TargetResult, value: float) -> float | None:
    """Forward-equivalents after which the best activation was this, up to rounding; None if it never was."""
    return next((point[0] for point in found.trace if point[1] >= value - ROUNDING * abs(value)), None)


def _only(objective: Objective, method: Method, budget: Budget, seed: int) -> TargetResult:
    (one,) = search(objective, method, budget, seed).found
    assert one is not None
    return one
