"""The session behind the live page: it judges texts at once, and runs one search after the other."""

import dataclasses
import itertools
import math
import queue
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from optigram.errors import InputError
from optigram.methods import Proposal, chains, registry
from optigram.methods.combinators import Watched
from optigram.models.base import Model
from optigram.objective.objective import Objective
from optigram.objective.scores import Scores
from optigram.optimize.search import Budget
from optigram.runs.ablation import without_each
from optigram.runs.find import run_plan, score_texts
from optigram.runs.objective import make_objective
from optigram.runs.options import ObjectiveOptions
from optigram.runs.plan import Plan, corpus_search, reads_corpus
from optigram.text.sources import Corpus

LONGEST_TEXT, LONGEST, LARGEST, WAITING = 2000, 32, 50_000.0, 8  # characters; free words; forward-equivalents; jobs in the queue
DONE = ("done", "cancelled", "failed")


@dataclass
class Job:
    """A search that was asked for. `state`: waiting, running, done, cancelled or failed; `events` only grow."""

    number: int
    target: str
    by: str
    length: int
    budget: float
    seed: int
    state: str = "waiting"
    unwanted: bool = False
    events: list[dict[str, Any]] = field(default_factory=list)

    def tell(self, **event: Any) -> None:
        """Add an event that carries the state."""
        self.events.append({"state": self.state, **event})


class Session:
    """One model, its judge, and one worker, which does the jobs in their order until the session is closed."""

    model: Model
    name: str
    corpus: Corpus | None
    template: str | None
    closed: bool

    def __init__(self, model: Model, name: str, corpus: Corpus | None = None, template: str | None = None) -> None:
        self.model, self.name, self.corpus, self.template = model, name, corpus, template
        self.jobs: dict[int, Job] = {}
        self.closed = False
        self._numbers = itertools.count(1)
        self._queue: queue.Queue[Job | None] = queue.Queue()
        self._worker = threading.Thread(target=self._work, daemon=True)
        self._worker.start()

    def judged(self, target: str, text: str) -> dict[str, Any]:
        """What a text is worth, what each word adds, and what the text so far is worth after each word. Raises InputError."""
        if len(text) > LONGEST_TEXT:
            raise InputError(f"expected a text of at most {LONGEST_TEXT} characters, got {len(text)}; shorten it")
        ids = self.model.vocabulary.known_ids(text)
        if not ids:
            raise InputError("the text has no words; type at least one")
        objective = self._objective(target, len(ids))
        (record,) = score_texts(objective, [ids])[ids]
        rest = without_each(objective, torch.tensor([[ids]]))[0, 0].tolist()
        return {
            "target": record.target,
            "activation": record.activation,
            "survives": record.survives,
            "words": [self.model.vocabulary.tokens[i] for i in ids],
            "adds": [None if value != value else record.activation - value for value in rest],
            "so_far": [*(self._so_far(target, ids[:end]) for end in range(1, len(ids))), record.activation],
        }

    def ask(self, target: str, by: str, length: int, budget: float, seed: int) -> Job:
        """Put a search into the queue; all that can be wrong with it is told now. Raises InputError."""
        if not 1 <= length <= LONGEST:
            raise InputError(f"expected a length from 1 to {LONGEST} words, got {length}")
        if not 0 < budget <= LARGEST:
            raise InputError(f"expected a budget of more than 0 and at most {LARGEST:,.0f} forward-equivalents, got {budget:g}")
        if self.closed or sum(job.state == "waiting" for job in self.jobs.values()) >= WAITING:
            raise InputError(f"{WAITING} searches are waiting already; cancel one, or wait")
        if registry.imports(by):  # whoever reaches the page must not choose what code is imported
            raise InputError(f"the page offers optigram's own methods, {', '.join(chains.NAMES)}; got {by!r}")
        if chains.Chain.parse(by, self.corpus is not None).corpus and self.corpus is None:
            raise InputError("corpus search needs a corpus; start again with --corpus FILE")
        self._objective(target, length)
        job = Job(next(self._numbers), target, by, length, budget, seed)
        job.tell(ahead=sum(other.state not in DONE for other in self.jobs.values()))
        self.jobs[job.number] = job
        self._queue.put(job)
        return job

    def cancel(self, number: int) -> None:
        """Let a job end with what it has found so far; one that waits ends at once."""
        job = self.jobs[number]
        job.unwanted = True
        if job.state == "waiting":
            job.state = "cancelled"
            job.tell()

    def close(self) -> None:
        """Cancel all jobs and wait for the worker to end."""
        self.closed = True
        for number in list(self.jobs):
            self.cancel(number)
        self._queue.put(None)
        self._worker.join()

    def _objective(self, target: str, length: int) -> Objective:
        objective = make_objective(self.model, [target], ObjectiveOptions(template=self.template), length)
        if len(objective.targets) > 1:
            raise InputError(f"expected one target, got {len(objective.targets)}; name one unit")
        return objective

    def _so_far(self, target: str, ids: Sequence[int]) -> float | None:
        try:
            return float(self._objective(target, len(ids)).viewed("exact").score(torch.tensor([[ids]])).activation)
        except InputError:  # the pool looks at a position that so short a text has not
            return None

    def _work(self) -> None:
        while (job := self._queue.get()) is not None:
            if not job.unwanted:
                self._do(job)

    def _do(self, job: Job) -> None:
        job.state = "running"
        job.tell()
        try:
            objective = self._objective(job.target, job.length)
            plan = self._plan(job, objective)
            best = {"activation": float("-inf")}

            def tell(number: int, proposal: Proposal, scores: Scores) -> None:
                value, place = scores.value[0].max(0)
                found = {"text": self._text(proposal.ids[0, int(place)]), "activation": float(value)}
                best.update(max(best, found, key=lambda one: one["activation"]))
                job.tell(round=number, now=found, best=dict(best), temperature=proposal.progress.get("temperature"))
                if job.unwanted:
                    raise KeyboardInterrupt

            bounds = Budget(forwards=job.budget)
            if plan.method is None:
                assert plan.corpus is not None
                plan, bounds = Plan(plan.name, None, plan.corpus), Budget(forwards=math.inf)
            assert plan.method is not None
            found = run_plan(objective, dataclasses.replace(plan, method=Watched(plan.method, tell)), bounds, job.seed)
            job.state = "cancelled" if found.interrupted else "done"
            (record,) = found.records
            job.tell(text=record.text, activation=record.activation, forwards=record.total_forwards)
        except Exception as error:  # a worker that died would leave all other jobs waiting for ever
            job.state = "failed"
            job.tell(error=f"{type(error).__name__}: {error}")

    def _plan(self, job: Job, objective: Objective) -> Plan:
        reads = self.corpus is not None and reads_corpus([job.by])
        return Plan.of(job.by, objective, corpus_search(objective, self.corpus) if reads and self.corpus else None, job.budget)

    def _text(self, ids: torch.Tensor) -> str:
        return self.model.vocabulary.decode(ids.tolist())
