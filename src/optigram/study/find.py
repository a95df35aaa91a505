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
from optigram.loop import Budget, Found, search
from optigram.methods import Ascent, Corpus, Method, presets
from optigram.methods.starts import Starts
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
    starts: Starts | None = None,
) -> Iterator[Finds]:
    """The `top` best texts of every target of `objective` by each method, such as "crp", "gbl", "gbl:faithful" or "smx:fair/200".

    `budget` bounds the gradient methods; corpus search always reads its whole corpus, once for all targets. `starts` are
    texts from which ascents begin.
    """
    budget = budget or Budget()
    methods = [(name, _begun(method_named(name, objective, corpus, budget.forwards), starts)) for name in by]
    for name, method in methods:
        allowed = Budget() if isinstance(method, Corpus) else budget
        found = find_by(objective, name, method, allowed, seed, top, functools.partial(watch, name))
        yield found
        if found.interrupted:
            return


def find_by(
    objective: Objective,
    name: str,
    method: Method,
    budget: Budget,
    seed: int = 0,
    top: int = 1,
    watch: Callable[[int, Tensor], None] = lambda done, best: None,
    arm: str = "",
) -> Finds:
    """The `top` best texts of every target by one method, which the records call `name`."""
    outcome = search(objective, method, budget, seed, top, watch)
    known = [(number, found) for number, found in enumerate(outcome.found) if found is not None]
    records = [record for number, found in known for record in _records(objective, number, name, repr(method), seed, found, arm)]
    return Finds(name, records, sum(found.broken for _, found in known), outcome.interrupted)


def _begun(method: Method, starts: Starts | None) -> Method:
    """A method with texts to begin from, if it is an ascent."""
    return dataclasses.replace(method, starts=starts) if isinstance(method, Ascent) and starts is not None else method


def method_named(name: str, objective: Objective, corpus: Sentences | None, forwards: float | None) -> Method:
    """The method that a name stands for, for texts of the objective's length and a budget of forward-equivalents."""
    if presets.parse(name).label == presets.CORPUS:
        if corpus is None:
            raise InputError("corpus search needs a corpus; give one")
        allowed = objective.lexicon.cpu().numpy()
        return Corpus(corpus.name, ngrams(corpus.texts, objective.model.vocabulary, objective.length, allowed))
    return gradient_method(name, objective, forwards)


def gradient_method(name: str, objective: Objective, forwards: float | None) -> Method:
    """A gradient method at a budget; raises InputError where the objective asks for what it has not."""
    label, variant, _ = presets.parse(name)
    if label in presets.UNMIXED and objective.hears_mixtures:
        raise InputError(f"{label} climbs on what is no mixture of words and so has no surprisal; use smx or gbl, or leave out the fluency")
    method = presets.named(name, None if variant == presets.FAITHFUL else (forwards or presets.BUDGET) / objective.passes)
    heavy = objective.model.step is None and objective.device.type == "cpu"
    return dataclasses.replace(method, block=HEAVY_BLOCK) if heavy else method


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


def _records(objective: Objective, number: int, method: str, settings: str, seed: int, found: Found, arm: str = "") -> Iterator[Record]:
    vocabulary = objective.model.vocabulary
    for rank, (free, activation) in enumerate(zip(found.ids.tolist(), found.activation.tolist(), strict=True), start=1):
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
