"""Fluent texts: what searches find within a bound on surprisal, against the best n-grams of a corpus within the same bound.

All n-grams are scored once in the precision of the searches. From each neuron's best down they are scored again in float32, and their
surprisal is computed, until 16 are within the bound: the first is what corpus search has to offer, and all are where the searches begin.
A search runs in bfloat16, or as the option `dtype` says, and ends with a final float32 re-scoring. One forward gives a text's activation
and its surprisal; a forward for the activation alone counts as the share of the blocks that it runs. With the option `keep` what was
measured is kept in a file, and a run that was killed continues.
"""

import functools
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from benchmarks.int8 import in_int8
from benchmarks.parts import OPTION, Parts
from benchmarks.quality.search import plain
from benchmarks.setup import Result, Settings, Unit, by_method, objective_of, open_corpus, open_model
from torch import Tensor

from optigram.methods import Corpus
from optigram.models.base import Model
from optigram.objective.fluency import Fluency
from optigram.objective.objective import Objective
from optigram.optimize.search import Budget, search
from optigram.runs.plan import Plan
from optigram.study import statistics
from optigram.text.lexicon import lexicon
from optigram.text.ngrams import NGrams

CHUNK, SCREENED, AT_ONCE, STARTS, KEPT = 1 << 14, 256, 32, 16, 32
INT8 = 3  # blocks that stay exact where the others run in 8-bit integers, for the gradient of neurons up to there
WITHIN, ANY = "crp", "crp, any surprisal"


class _Found(NamedTuple):
    """A text, its activation and its surprisal in nats per token."""

    ids: list[int]
    activation: float
    surprisal: float


@dataclass(frozen=True)
class Contest:
    """The model in both precisions, all n-grams of the corpus [c t], and the settings."""

    exact: Model
    half: Model
    grams: Tensor
    settings: Settings
    parts: Parts

    def __hash__(self) -> int:
        return id(self)

    def objective(self, site: str, model: Model) -> Objective:
        """The drawn neurons of a site, under the bound of the option `most` in nats per token."""
        fluency = Fluency(band=(0, self.settings.option("most", 6.0)))
        exact = None if model is self.exact else lambda: self.exact
        return objective_of(model, site, self.settings.targets, self.settings.length, fluency=fluency, exact=exact)

    @functools.cache  # noqa: B019, an instance lives as long as its run
    def corpus(self, site: str) -> tuple[list[_Found], list[list[_Found]], float]:
        """Of each neuron its best n-gram, and its best ones within the bound, best first; and the forward-equivalents of both."""
        best, within, cost = self.parts.get(f"corpus {site}", lambda: self._screened(site))
        return [_Found(*row) for row in best], [[_Found(*row) for row in rows] for rows in within], cost

    def _screened(self, site: str) -> tuple[list[_Found], list[list[_Found]], float]:
        screen = objective_of(self.half, site, self.settings.targets, self.settings.length)
        activation = torch.cat([screen.score(part[None]).activation for part in self.grams.split(CHUNK)], dim=1)
        whole, best, within, costs = self.objective(site, self.exact), [], [], []
        for number in range(len(whole.targets)):
            one = whole.subset([number])
            free = Objective(one.model, one.targets, one.length, must_survive=True)
            top, found = self._within(one, free, activation[number])
            best.append(top)
            within.append(found)
            costs.append(float(one.cost.spent[0] + free.cost.spent[0]))
        return best, within, float(screen.cost.spent[0]) + float(np.median(costs))

    def _within(self, one: Objective, free: Objective, activation: Tensor) -> tuple[_Found, list[_Found]]:
        bounded, best, order = list[_Found](), None, activation.argsort(descending=True)
        for screened in order.split(SCREENED):
            texts = self.grams[screened]
            value = free.score(texts[None]).value[0]
            ranked = value.argsort(descending=True)
            best = best or _Found(texts[ranked[0]].tolist(), float(value[ranked[0]]), float("nan"))
            for block in ranked[~value[ranked].isneginf()].split(AT_ONCE):
                scores = one.score(texts[None, block])
                assert scores.surprisal is not None
                rows = zip(texts[block].tolist(), scores.value[0].tolist(), scores.surprisal[0].tolist(), strict=True)
                bounded += [_Found(*row) for row in rows if row[1] > -torch.inf]
                if len(bounded) >= STARTS:
                    return best, bounded[:STARTS]
        assert best is not None
        return best, bounded


def setup(settings: Settings) -> Contest:
    """Open the model twice, and find the n-grams of the corpus."""
    exact = open_model(settings.model)
    grams = NGrams.read(open_corpus(exact, settings).texts(), exact.vocabulary, settings.length, lexicon(exact.vocabulary)).ids
    dtype, parts = settings.option("dtype", "bfloat16"), Parts.of(settings.option(OPTION, ""))
    half = in_int8(open_model(settings.model), INT8) if dtype == "int8" else open_model(settings.model, dtype)
    return Contest(exact, half, torch.from_numpy(grams), settings, parts)


def units(settings: Settings) -> Iterator[Unit]:
    """A unit per site, method and budget."""
    yield from by_method(settings)


def fluent(contest: Contest, unit: Unit, seed: int) -> list[Result]:
    """What a search finds within the bound, neuron by neuron, from the corpus's best texts within it."""
    best, within, corpus_cost = contest.corpus(unit["site"])
    numbers = [number for number, rows in enumerate(within) if rows]
    whole, rows = contest.objective(unit["site"], contest.half), []
    for number in numbers:
        made = functools.partial(_searched, whole.subset([number]), unit, within[number], seed)
        row, *costs = contest.parts.get(f"{whole.targets[number]} {unit['method']} {unit['budget']} {seed}", made)
        rows.append((number, _Found(*row), *costs))
    found = [row for _, row, *_ in rows]
    spent, seconds = (float(np.median(costs)) for costs in list(zip(*rows, strict=True))[2:])
    metrics: dict[str, Any] = {"neurons": len(rows), "corpus_search": corpus_cost, "spent": spent, "total": spent + corpus_cost}
    for name, base in (("within", [within[number][0] for number in numbers]), ("any", [best[number] for number in numbers])):
        won = sum(ours.activation > theirs.activation for ours, theirs in zip(found, base, strict=True))
        ratios = [ours.activation / theirs.activation for ours, theirs in zip(found, base, strict=True) if theirs.activation > 0]
        metrics |= {
            f"won_{name}": plain(statistics.Interval.share(won, len(found))),
            f"ratio_{name}": plain(statistics.Interval.median(ratios)),
        }
    metrics |= {"nats": float(np.median([row.surprisal for row in found])), "seconds": seconds}
    told = contest.exact.vocabulary.decode
    return [Result(metrics, [{"target": str(whole.targets[n]), "text": told(r.ids), "activation": r.activation} for n, r, *_ in rows])]


def _searched(objective: Objective, unit: Unit, begin: list[_Found], seed: int) -> tuple[_Found, float, float]:
    """The best text within the bound, its cost in forward-equivalents and in processor seconds."""
    read, begun = Corpus("within the bound", np.array([row.ids for row in begin])), time.process_time()
    method = Plan.of(unit["method"], objective, read, unit["budget"]).method
    assert method is not None
    start = torch.tensor([[row.ids for row in begin]])
    (found,) = search(objective, method, Budget(forwards=unit["budget"]), seed, KEPT, start=start).found
    assert found is not None
    assert found.surprisal is not None
    best = _Found(found.ids[0].tolist(), float(found.activation[0]), float(found.surprisal[0]))
    return best, found.forwards + found.backwards, time.process_time() - begun
