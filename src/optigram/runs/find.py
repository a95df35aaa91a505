"""Search methods on targets, as records; and the records of given texts."""

import dataclasses
import functools
import itertools
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from optigram.errors import InputError
from optigram.methods.combinators import HANDOVER
from optigram.objective.objective import Objective
from optigram.optimize.checkpoint import Checkpoint, Checkpoints
from optigram.optimize.diverse import search_diverse
from optigram.optimize.rescore import rescore
from optigram.optimize.result import SearchResult, TargetResult
from optigram.optimize.search import Budget, search
from optigram.optimize.topk import TopK
from optigram.runs.cache import Cache
from optigram.runs.corpus_best import LISTED, best_of_corpus, diverse_of_corpus
from optigram.runs.options import FindOptions
from optigram.runs.plan import Plan, corpus_search, reads_corpus
from optigram.runs.records import CORPUS_FORWARDS, CORPUS_SECONDS, Record
from optigram.runs.shown_text import ShownText
from optigram.shapes import Int
from optigram.text.sources import Corpus

GIVEN = Plan("text", None, None)  # stands for the user, who gave the text
Watch = Callable[[str, int, Tensor], None]  # method, targets done, best activations of those at work


@dataclass(frozen=True)
class MethodResult:
    """What one method found: its records, how many texts scored NaN, and whether Ctrl-C ended it."""

    method: str
    records: list[Record]
    broken: int
    interrupted: bool


def run_methods(
    objective: Objective,
    options: FindOptions,
    corpus: Corpus | None = None,
    start: Int[Tensor, "k n t"] | None = None,
    watch: Watch = lambda method, done, best: None,
    checkpoints: Checkpoints | None = None,
) -> Iterator[MethodResult]:
    """The best texts of every target by each method of `options.by`, one result per method; corpus search runs once for all of them.

    `start` [k n t] are texts of each target from which all methods start (-1: none). After a Ctrl-C the last result is marked
    `interrupted`, and no further method runs.
    """
    budget = Budget(forwards=options.budget)
    read = None if corpus is None or not reads_corpus(options.by) else corpus_search(objective, corpus)
    plans = [Plan.of(name, objective, read, budget.forwards) for name in options.by]
    known: SearchResult | None = None
    cache = None if options.no_cache else Cache.usual()
    for plan in plans:
        watched = functools.partial(watch, plan.name)
        if plan.corpus is not None and known is None:
            depth = _depth(options.n, _must_differ(options.n, options.apart, options.front))
            known = best_of_corpus(objective, plan.corpus, depth, options.seed, watched, options.front, cache)
        found = run_plan(
            objective,
            plan,
            budget,
            options.seed,
            options.n,
            watched,
            known=known,
            apart=options.apart,
            start=start,
            front=options.front,
            cache=cache,
            checkpoint=checkpoints and checkpoints.next(),
        )
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
    cache: Cache | None = None,
    checkpoint: Checkpoint | None = None,
) -> MethodResult:
    """The `top` best texts of every target by one plan; `known` is what its corpus search has found, if that was done before.

    A `checkpoint` keeps the search of the plan's method, unless the texts of a target must differ.
    """
    differ = _must_differ(top, apart, front)
    several = functools.partial(search_diverse, most=apart) if differ else functools.partial(search, front=front, checkpoint=checkpoint)
    read, took, outcome = [0.0] * len(objective.targets), [0.0] * len(objective.targets), SearchResult([])
    if plan.corpus is not None:
        depth = _depth(top, differ)
        outcome = known or best_of_corpus(objective, plan.corpus, depth, seed, watch, front, cache)
        if plan.method is None and differ:
            outcome = diverse_of_corpus(objective, plan.corpus, outcome, depth, top, apart, seed, watch, cache)
    if plan.method is not None and not outcome.interrupted:
        if plan.corpus is not None:
            best = _texts(outcome, objective.length, front)
            read, took = ([0.0 if found is None else getattr(found, name) for found in outcome.found] for name in ("forwards", "seconds"))
            start = best if start is None else torch.cat([start, best], dim=1)
        outcome = several(objective, plan.method, plan.bounded(budget), seed, top, watch=watch, start=start)
    given = [(number, found) for number, found in enumerate(outcome.found) if found is not None]
    records = [
        record
        for number, found in given
        for record in _records(objective, number, plan, seed, _with(found, read[number], took[number]), arm, None if front else top)
    ]
    return MethodResult(plan.name, records, sum(found.broken for _, found in given), outcome.interrupted)


def _must_differ(top: int, apart: float, front: bool) -> bool:
    """Whether the texts of a target are bounded in the words that they have in common."""
    return top > 1 and apart < 1 and not front


def _depth(top: int, differ: bool) -> int:
    """How many of the best texts of a corpus are kept: as many as are asked for, or a method may begin from, or differ."""
    return max(top, LISTED if differ else HANDOVER)


def _with(found: TargetResult, read: float, took: float) -> TargetResult:
    """What a search found, with the time of the corpus search that it began from, and notes on the cost of that."""
    if not read:
        return found
    return dataclasses.replace(found, seconds=found.seconds + took, notes=found.notes | {CORPUS_FORWARDS: read, CORPUS_SECONDS: took})


def _texts(outcome: SearchResult, length: int, front: bool) -> Tensor:
    """The best texts of every target [k HANDOVER t], -1 where there are fewer; of a long front some from end to end."""
    texts = torch.full((len(outcome.found), HANDOVER, length), -1)
    for row, found in zip(texts, outcome.found, strict=True):
        if found is not None:
            spread = torch.linspace(0, len(found.ids) - 1, HANDOVER).long() if front else torch.arange(HANDOVER)
            given = found.ids[spread.unique()[: len(found.ids)]]
            row[: len(given)] = given
    return texts


def score_texts(objective: Objective, texts: Sequence[Sequence[int]]) -> dict[tuple[int, ...], list[Record]]:
    """Records of given texts [n t] of token ids: for each text one per target, as exact as those of a search. Method "text", rank 1.

    Raises InputError where an activation is not finite.
    """
    begun = time.perf_counter()
    once = list(dict.fromkeys(map(tuple, texts)))
    ids = torch.tensor([once]).expand(len(objective.targets), -1, -1)
    value = objective.score(ids[:1]).value.cpu()
    given = rescore(objective, TopK(ids, torch.where(value.isfinite(), value, -torch.inf)))
    shown = functools.cache(functools.partial(ShownText.of, objective.template, objective.model.vocabulary))
    seconds = (time.perf_counter() - begun) / (len(once) * len(objective.targets))
    records: dict[tuple[int, ...], list[Record]] = {text: [] for text in once}
    for number, one in enumerate(given):
        if len(one.ids) < len(once):
            raise InputError(
                f"{objective.targets[number]} is not finite on a text; check the model's weights and dtype, and the weights of the target"
            )
        cost = float(objective.passes)
        found = TargetResult(one.ids, one.activation, cost, 0.0, seconds, {}, 0, [], one.surprisal, one.notes)
        for text, record in zip(one.ids.tolist(), _records(objective, number, GIVEN, 0, found, top=None, shown=shown), strict=True):
            records[tuple(text)].append(dataclasses.replace(record, rank=1))
    return records


def _records(
    objective: Objective,
    number: int,
    plan: Plan,
    seed: int,
    found: TargetResult,
    arm: str = "",
    top: int | None = 1,
    shown: Callable[[tuple[int, ...]], ShownText] | None = None,
) -> Iterator[Record]:
    """The `top` best records of a target; `shown` gives the columns that depend on the text alone."""
    shown = functools.partial(ShownText.of, objective.template, objective.model.vocabulary) if shown is None else shown
    model, target, settings = objective.model.name, str(objective.targets[number]), repr(plan)
    for rank, (free, activation) in enumerate(zip(found.ids.tolist()[:top], found.activation.tolist()[:top], strict=True), start=1):
        one = shown(tuple(free))
        yield Record(
            model=model,
            target=target,
            method=plan.name,
            settings=settings,
            seed=seed,
            rank=rank,
            text=one.text,
            tokens=one.tokens,
            ids=one.ids,
            activation=activation,
            surprisal=None if found.surprisal is None else float(found.surprisal[rank - 1]),
            survives=one.survives,
            forwards=found.forwards,
            backwards=found.backwards,
            seconds=found.seconds,
            notes=_notes(found, rank),
            arm=arm,
            trace=_improvements(found.trace) if rank == 1 else [],
            whole=one.whole,
            free=one.free,
        )


def _notes(found: TargetResult, rank: int) -> dict[str, float]:
    """What the method noted of its best text, what a corpus search before it cost, and the remarks on the text of a rank."""
    notes = {name: value for name, value in found.notes.items() if rank == 1 or name in (CORPUS_FORWARDS, CORPUS_SECONDS)}
    return notes | {name: float(values[rank - 1]) for name, values in found.remarks.items()}


def _improvements(trace: Sequence[tuple[float, float, float]]) -> list[list[float]]:
    """The points (forward-equivalents, activation, value) of a trace at which the best value rose, and its end."""
    risen = [point for before, point in itertools.pairwise([(0.0, -math.inf, -math.inf), *trace]) if point[2] > before[2]]
    ends = trace[-1:] if risen[-1:] != trace[-1:] else []
    return [list(point) for point in [*risen, *ends]]
