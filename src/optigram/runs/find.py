"""`find`: the best texts of any targets by the named methods, as records; `judge`: the records of texts already at hand."""

import dataclasses
import functools
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from optigram.methods import Method
from optigram.methods import paper as presets
from optigram.methods.combinators import HANDOVER
from optigram.objective.objective import Objective
from optigram.optimize.diverse import search_diverse
from optigram.optimize.rescore import rescore
from optigram.optimize.search import Budget, SearchResult, TargetResult, search
from optigram.optimize.topk import TopK
from optigram.runs.plan import Plan, Sentences, corpus_search, plan_of, reads_corpus
from optigram.runs.records import Record
from optigram.shapes import Int

GIVEN = Plan("text", None, None)  # stands for the user, who gave the text
Watch = Callable[[str, int, Tensor], None]  # method, targets done, best activations of those at work


@dataclass(frozen=True)
class MethodResult:
    """What one method found: its records, how many texts scored NaN, and whether Ctrl-C ended it."""

    method: str
    records: list[Record]
    broken: int
    interrupted: bool


def find(
    objective: Objective,
    by: Sequence[str | Method] = presets.LABELS,
    corpus: Sentences | None = None,
    budget: Budget | None = None,
    seed: int = 0,
    top: int = 1,
    watch: Watch = lambda method, done, best: None,
    apart: float = 1.0,
    start: Int[Tensor, "k n t"] | None = None,
    front: bool = False,
) -> Iterator[MethodResult]:
    """The `top` best texts of every target of `objective` by each method, such as "crp", "gbl:faithful", "gbl+coordinate",
    "auto", an import path ("my_package.MyMethod") or a Method object.

    `budget` bounds all methods but corpus search, which always reads its whole corpus: once for all targets, and for all
    methods that begin from its best texts. With `apart` below 1 the `top` texts of a target have at most that share of words in
    common, and each of them may cost the whole budget. `start` are texts of each target from which all methods begin (-1: none).
    With `front` they are, for any `top`, all texts that no other judged beats in activation and surprisal at once.
    """
    budget = budget or Budget()
    read = None if corpus is None or not reads_corpus(by) else corpus_search(objective, corpus)
    plans = [plan_of(name, objective, read, budget.forwards) for name in by]
    known: SearchResult | None = None
    for plan in plans:
        watched = functools.partial(watch, plan.name)
        if plan.corpus is not None and known is None:
            known = search(objective, plan.corpus, None, seed, max(top, HANDOVER), watched, front=front)
        found = run_plan(objective, plan, budget, seed, top, watched, known=known, apart=apart, start=start, front=front)
        yield found
        if found.interrupted:
            return


def run_plan(
    objective: Objective,
    plan: Plan,
    budget: Budget,
    seed: int = 0,
    top: int = 1,
    watch: Callable[[int, Tensor], None] = lambda done, best: None,
    arm: str = "",
    known: SearchResult | None = None,
    apart: float = 1.0,
    start: Int[Tensor, "k n t"] | None = None,
    front: bool = False,
) -> MethodResult:
    """The `top` best texts of every target by one plan; `known` is what its corpus search has found, if that was done before."""
    apart_too = top > 1 and apart < 1 and not front
    several = functools.partial(search_diverse, most=apart) if apart_too else functools.partial(search, front=front)
    read, outcome = 0.0, SearchResult([])
    if plan.corpus is not None:
        outcome = known or search(objective, plan.corpus, None, seed, max(top, HANDOVER), watch, front=front)
    if plan.method is None and apart_too:
        assert plan.corpus is not None
        outcome = several(objective, plan.corpus, None, seed, top, watch=watch)
    elif plan.method is not None and not outcome.interrupted:
        if plan.corpus is not None:
            best, read = _texts(outcome, objective.length, front), max((found.forwards for found in outcome.found if found), default=0.0)
            start = best if start is None else torch.cat([start, best], dim=1)
        outcome = several(objective, plan.method, plan.bounded(budget), seed, top, watch=watch, start=start)
    given = [(number, found) for number, found in enumerate(outcome.found) if found is not None]
    records = [
        record
        for number, found in given
        for record in _records(objective, number, plan, seed, _with(found, read), arm, None if front else top)
    ]
    return MethodResult(plan.name, records, sum(found.broken for _, found in given), outcome.interrupted)


def _with(found: TargetResult, read: float) -> TargetResult:
    """A find with a note on what the corpus search that it began from had cost."""
    return dataclasses.replace(found, notes=found.notes | {"corpus_forwards": read}) if read else found


def _texts(outcome: SearchResult, length: int, front: bool) -> Tensor:
    """The best texts of every target [k HANDOVER t], -1 where there are fewer; of a long front some from end to end."""
    texts = torch.full((len(outcome.found), HANDOVER, length), -1)
    for row, found in zip(texts, outcome.found, strict=True):
        if found is not None:
            spread = torch.linspace(0, len(found.ids) - 1, HANDOVER).long() if front else torch.arange(HANDOVER)
            given = found.ids[spread.unique()[: len(found.ids)]]
            row[: len(given)] = given
    return texts


def score_text(objective: Objective, ids: Sequence[int]) -> list[Record]:
    """One record a target for a text of the user's, as exact as those of `find`: method "text", rank 1."""
    begun = time.perf_counter()
    text = torch.tensor([[ids]])
    last = rescore(objective, TopK.of(text, objective.score(text).activation, 1))
    seconds = (time.perf_counter() - begun) / len(objective.targets)
    records = []
    for number, one in enumerate(last):
        forwards = float(objective.cost.forwards[number])
        found = TargetResult(one.ids, one.activation, forwards, 0.0, seconds, {}, 0, [], one.surprisal, one.notes)
        records += _records(objective, number, GIVEN, 0, found)
    return records


def _records(
    objective: Objective, number: int, plan: Plan, seed: int, found: TargetResult, arm: str = "", top: int | None = 1
) -> Iterator[Record]:
    vocabulary = objective.model.vocabulary
    for rank, (free, activation) in enumerate(zip(found.ids.tolist()[:top], found.activation.tolist()[:top], strict=True), start=1):
        ids = objective.template.fill(free)
        yield Record(
            model=objective.model.name,
            target=str(objective.targets[number]),
            method=plan.name,
            settings=repr(plan),
            seed=seed,
            rank=rank,
            text=vocabulary.decode(free),
            tokens=[vocabulary.tokens[i] for i in ids],
            ids=ids,
            activation=activation,
            surprisal=None if found.surprisal is None else float(found.surprisal[rank - 1]),
            survives=vocabulary.survives(ids),
            forwards=found.forwards,
            backwards=found.backwards,
            seconds=found.seconds,
            notes=(found.notes if rank == 1 else {}) | {name: float(values[rank - 1]) for name, values in found.remarks.items()},
            arm=arm,
            trace=_improvements(found.trace) if rank == 1 else [],
        )


def _improvements(trace: Sequence[tuple[float, float, float]]) -> list[list[float]]:
    """The points of a trace at which the best value rose, and its end."""
    risen = [point for before, point in zip([(0.0, -math.inf, -math.inf), *trace], trace, strict=False) if point[2] > before[2]]
    ends = trace[-1:] if risen[-1:] != trace[-1:] else []
    return [list(point) for point in [*risen, *ends]]
