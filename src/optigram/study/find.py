"""`find`: the best texts of any targets by the named methods, as records; `judge`: the records of texts already at hand."""

import dataclasses
import functools
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from optigram.best import Best
from optigram.corpora import ngrams
from optigram.errors import InputError
from optigram.finals import finals
from optigram.loop import Budget, Found, Outcome, search
from optigram.methods import Ascent, Corpus, Method, chains, presets
from optigram.methods.then import HANDED_ON
from optigram.objective import Objective
from optigram.study.records import Record

HEAVY_BLOCK = 4  # soft texts in a batch of a transformer on a processor: a batch is filled up with copies, which must not cost much
Watch = Callable[[str, int, Tensor], None]  # method, targets done, best activations of those at work


@dataclass(frozen=True)
class Sentences:
    """The sentences of corpus search; `name` says where they are from."""

    name: str
    texts: Sequence[str]


@dataclass(frozen=True)
class Finds:
    """What one method found: its records, how many texts scored NaN, and whether Ctrl-C ended it."""

    method: str
    records: list[Record]
    broken: int
    interrupted: bool


def find(
    objective: Objective,
    by: Sequence[str] = presets.LABELS,
    corpus: Sentences | None = None,
    budget: Budget | None = None,
    seed: int = 0,
    top: int = 1,
    watch: Watch = lambda method, done, best: None,
) -> Iterator[Finds]:
    """The `top` best texts of every target of `objective` by each method, such as "crp", "gbl:faithful", "gbl+coordinate" or "auto".

    `budget` bounds all methods but corpus search, which always reads its whole corpus: once for all targets, and for all
    methods that begin from its best texts.
    """
    budget = budget or Budget()
    read = None if corpus is None or not reads_corpus(by) else corpus_search(objective, corpus)
    plans = [plan_of(name, objective, read, budget.forwards) for name in by]
    known: Outcome | None = None
    for plan in plans:
        watched = functools.partial(watch, plan.name)
        if plan.corpus is not None and known is None:
            known = search(objective, plan.corpus, None, seed, max(top, HANDED_ON), watched)
        found = find_by(objective, plan, budget, seed, top, watched, known=known)
        yield found
        if found.interrupted:
            return


@dataclass(frozen=True)
class Plan:
    """What a method's name stands for: a corpus search, a `method`, or the one from the best texts of the other."""

    name: str
    corpus: Corpus | None
    method: Method | None

    @property
    def side_by_side(self) -> int | None:
        """Targets that run as one batch; None: all."""
        return None if self.method is None else self.method.side_by_side

    def bounded(self, budget: Budget) -> Budget:
        """A budget with the usual bound, where it has none and the method no end of its own."""
        endless = self.method is not None and not isinstance(self.method, Ascent)
        free = budget.forwards is None and budget.seconds is None and budget.rounds is None
        return dataclasses.replace(budget, forwards=presets.BUDGET) if endless and free else budget

    def __repr__(self) -> str:
        return " + ".join(repr(part) for part in (self.corpus, self.method) if part is not None)


def reads_corpus(by: Sequence[str], corpus: bool = True) -> bool:
    """Whether any of these methods begins with a corpus search; `corpus` tells whether there is one, for `auto`."""
    return any(chains.parse(name, corpus).corpus for name in by)


def plan_of(name: str, objective: Objective, corpus: Corpus | None, forwards: float | None) -> Plan:
    """The plan that a name stands for, for texts of the objective's length and a budget of forward-equivalents.

    Raises InputError for what is unknown, or cannot be had of this objective.
    """
    chain = chains.parse(name, corpus is not None)
    if chain.corpus and corpus is None:
        raise InputError("corpus search needs a corpus; give one")
    return Plan(name, corpus if chain.corpus else None, _climb(chain, objective, forwards) if chain.links else None)


def corpus_search(objective: Objective, corpus: Sentences) -> Corpus:
    """Search of all the n-grams of a corpus that the objective allows."""
    allowed = objective.lexicon.cpu().numpy()
    return Corpus(corpus.name, ngrams(corpus.texts, objective.model.vocabulary, objective.length, allowed))


def _climb(chain: chains.Chain, objective: Objective, forwards: float | None) -> Method:
    """What follows on a corpus search."""
    labels = [link.partition(":")[0] for link in chain.links]
    if (unmixed := next((label for label in labels if label in chains.UNMIXED), None)) and objective.hears_mixtures:
        raise InputError(
            f"{unmixed} climbs on what is no mixture of words and so has no surprisal; use smx or gbl, or leave out the fluency"
        )
    heavy = objective.model.step is None and objective.device.type == "cpu"
    return chains.method(chain, (forwards or presets.BUDGET) / objective.passes, HEAVY_BLOCK if heavy else None)


def find_by(
    objective: Objective,
    plan: Plan,
    budget: Budget,
    seed: int = 0,
    top: int = 1,
    watch: Callable[[int, Tensor], None] = lambda done, best: None,
    arm: str = "",
    known: Outcome | None = None,
) -> Finds:
    """The `top` best texts of every target by one plan; `known` is what its corpus search has found, if that was done before."""
    read, start = 0.0, None
    if plan.corpus is None:
        outcome = Outcome([])
    else:
        outcome = known or search(objective, plan.corpus, None, seed, max(top, HANDED_ON), watch)
        if plan.method is not None:
            start, read = _texts(outcome, objective.length), max((found.forwards for found in outcome.found if found), default=0.0)
    if plan.method is not None and not outcome.interrupted:
        outcome = search(objective, plan.method, plan.bounded(budget), seed, top, watch, start)
    given = [(number, found) for number, found in enumerate(outcome.found) if found is not None]
    records = [
        record
        for number, found in given
        for record in _records(objective, number, plan.name, repr(plan), seed, _with(found, read), arm, top)
    ]
    return Finds(plan.name, records, sum(found.broken for _, found in given), outcome.interrupted)


def _with(found: Found, read: float) -> Found:
    """A find with a note on what the corpus search that it began from had cost."""
    return dataclasses.replace(found, notes=found.notes | {"corpus_forwards": read}) if read else found


def _texts(outcome: Outcome, length: int) -> Tensor:
    """The best texts of every target [k HANDED_ON t], -1 where there are fewer."""
    texts = torch.full((len(outcome.found), HANDED_ON, length), -1)
    for row, found in zip(texts, outcome.found, strict=True):
        if found is not None:
            row[: len(found.ids)] = found.ids[:HANDED_ON]
    return texts


def judge(objective: Objective, ids: Sequence[int]) -> list[Record]:
    """One record a target for a text of the user's, as exact as those of `find`: method "text", rank 1."""
    begun = time.perf_counter()
    text = torch.tensor([[ids]])
    shelf = Best.of(text, objective.score(text).activation.cpu(), 1)
    last = finals(objective, shelf)
    seconds = (time.perf_counter() - begun) / len(objective.targets)
    records = []
    for number, one in enumerate(last):
        forwards = float(objective.meter.forwards[number])
        found = Found(one.ids, one.activation, forwards, 0.0, seconds, {}, 0, [], one.surprisal, one.notes)
        records += _records(objective, number, "text", "", 0, found)
    return records


def _records(
    objective: Objective, number: int, method: str, settings: str, seed: int, found: Found, arm: str = "", top: int = 1
) -> Iterator[Record]:
    vocabulary = objective.model.vocabulary
    for rank, (free, activation) in enumerate(zip(found.ids.tolist()[:top], found.activation.tolist()[:top], strict=True), start=1):
        ids = objective.template.fill(free)
        yield Record(
            model=objective.model.name,
            target=str(objective.targets[number]),
            method=method,
            settings=settings,
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


def _improvements(trace: Sequence[tuple[float, float]]) -> list[list[float]]:
    """The points of a trace at which the best activation rose, and its end."""
    risen = [point for before, point in zip([(0.0, -math.inf), *trace], trace, strict=False) if point[1] > before[1]]
    ends = trace[-1:] if risen[-1:] != trace[-1:] else []
    return [list(point) for point in [*risen, *ends]]
