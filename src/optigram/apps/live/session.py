"""The session behind the live page: it judges texts at once, and runs one search after the other."""

import dataclasses
import functools
import itertools
import math
import queue
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from optigram.apps.live.jobs import CONCEPTS, DONE, Job
from optigram.apps.live.opening import Opening
from optigram.apps.live.prefixes import prefix_activations
from optigram.errors import InputError
from optigram.explaining.concepts import concepts
from optigram.explaining.descriptions import describe
from optigram.explaining.exact import Exact
from optigram.methods import Proposal, chains, registry
from optigram.methods.combinators import Watched
from optigram.models.base import Model
from optigram.objective.objective import Objective
from optigram.objective.scores import Scores
from optigram.optimize.search import Budget
from optigram.report.explained import Explained
from optigram.runs.ablation import without_each
from optigram.runs.cache import Cache
from optigram.runs.find import run_plan, score_texts
from optigram.runs.objective import make_objective
from optigram.runs.options import ObjectiveOptions
from optigram.runs.plan import Plan, corpus_search, reads_corpus
from optigram.targets.address import CUSTOM, Address
from optigram.targets.readouts import Unit
from optigram.text.sources import Corpus

LONGEST_TEXT, MOST_TOKENS = 4000, 400  # characters and tokens of a text that is judged
LONGEST, LARGEST = 32, 50_000.0  # free words and forward-equivalents of a search
WAITING, ENDED = 8, 32  # jobs in the queue, and jobs that have ended of which the events are kept
PATIENCE = 5.0  # seconds that the worker has to end when the session is closed


class Session:
    """One model, its judge, and one worker, which does the jobs in their order until the session is closed.

    Targets may name files in the folders `files`, and no others: whoever reaches the page must not choose what is opened.
    """

    model: Model
    name: str
    corpus: Corpus | None
    template: str | None
    closed: bool

    def __init__(
        self, model: Model, name: str, corpus: Corpus | None = None, template: str | None = None, files: Sequence[Path] = ()
    ) -> None:
        self.model, self.name, self.corpus, self.template = model, name, corpus, template
        self.jobs: dict[int, Job] = {}
        self.closed = False
        self._files = [folder.resolve() for folder in files]
        self._numbers = itertools.count(1)
        self._queue: queue.Queue[Job | None] = queue.Queue()
        self._lock = threading.Lock()  # of the jobs and their states
        self._worker = threading.Thread(target=self._work, daemon=True)
        self._worker.start()

    @functools.cached_property
    def opening(self) -> dict[str, Any]:
        """What the page shows first: an example, and what its text is worth, computed now."""
        found = Opening.example(self.model)
        try:
            return found | {"judged": self.judged(found["target"], found["text"])}
        except InputError:  # such as a template that no text fits: the page is open all the same
            return found

    def judged(self, target: str, text: str, unwanted: Callable[[], bool] = lambda: False) -> dict[str, Any]:
        """What a text is worth, what each word adds, and what the text so far is worth after each word.

        Numbers that are not known are None. The work ends once `unwanted` returns True. Raises InputError.
        """
        if len(text) > LONGEST_TEXT:
            raise InputError(f"expected a text of at most {LONGEST_TEXT} characters, got {len(text)}; shorten it")
        ids = self.model.vocabulary.known_ids(text)
        if not ids:
            raise InputError("the text has no words; type at least one")
        if len(ids) > MOST_TOKENS:
            raise InputError(f"expected a text of at most {MOST_TOKENS} tokens, got {len(ids)}; shorten it")

        def look() -> None:
            if self.closed or unwanted():
                raise InputError("nobody waits for this any more; ask again")

        try:
            look()
            objective = self._objective(target, len(ids))
            (record,) = score_texts(objective, [ids])[ids]
            so_far = prefix_activations(objective, ids, look)
            rest = without_each(objective, torch.tensor([[ids]]), look)[0, 0].tolist()
        except (IndexError, RuntimeError) as error:  # such as a text of more positions than the model has
            raise InputError(f"{self.name} cannot read {len(ids)} tokens ({_brief(error)}); shorten the text") from error
        (term, *others) = objective.targets[0].terms
        return {
            "target": record.target,
            "unit": term.readout.index if isinstance(term.readout, Unit) and not others else None,
            "activation": _known(record.activation),
            "survives": record.survives,
            "words": [self.model.vocabulary.tokens[i] for i in ids],
            "adds": [_known(record.activation - value) for value in rest],
            "so_far": [*map(_known, so_far), _known(record.activation)],
        }

    def ask(self, target: str, by: str, length: int, budget: float, seed: int) -> Job:
        """Put a search into the queue; all that can be wrong with it is told now. Raises InputError."""
        if not 1 <= length <= LONGEST:
            raise InputError(f"expected a length from 1 to {LONGEST} words, got {length}")
        if not 0 < budget <= LARGEST:
            raise InputError(f"expected a budget of more than 0 and at most {LARGEST:,.0f} forward-equivalents, got {budget:g}")
        if by != CONCEPTS:
            self._check_method(by)
        with self._lock:
            self._refuse_more()
        self._objective(target, length)
        with self._lock:
            self._refuse_more()
            ended = [number for number, other in self.jobs.items() if other.state in DONE]
            for number in ended[:-ENDED]:
                del self.jobs[number]
            job = Job(next(self._numbers), target, by, length, budget, seed)
            job.tell(ahead=len(self.jobs) - len(ended[-ENDED:]))
            self.jobs[job.number] = job
            self._queue.put(job)
        return job

    def _check_method(self, by: str) -> None:
        if registry.imports(by):  # whoever reaches the page must not choose what code is imported
            raise InputError(f"the page offers optigram's own methods, {', '.join(chains.NAMES)}; got {by!r}")
        if chains.Chain.parse(by, self.corpus is not None).corpus and self.corpus is None:
            raise InputError("corpus search needs a corpus; start again with --corpus FILE")

    def _refuse_more(self) -> None:
        if self.closed or sum(job.state == "waiting" for job in self.jobs.values()) >= WAITING:
            raise InputError(f"{WAITING} searches are waiting already; cancel one, or wait")

    def cancel(self, number: int) -> None:
        """Let a job end with what it has found so far; one that waits ends at once."""
        with self._lock:
            job = self.jobs.get(number)
            if job is None:  # it ended long ago
                return
            job.unwanted = True
            if job.state == "waiting":
                job.state = "cancelled"
                job.tell()

    def close(self) -> None:
        """Cancel all jobs and wait for the worker to end, but not for long: a round of a large model may take a while."""
        self.closed = True
        for number in list(self.jobs):
            self.cancel(number)
        self._queue.put(None)
        self._worker.join(PATIENCE)

    def _objective(self, target: str, length: int) -> Objective:
        for term in Address.parse(target).terms:
            if term.site == CUSTOM:
                raise InputError("the page runs no code that an address names; give the target to `optigram find`, or in Python")
            if term.file is not None and not self._may_open(term.file):
                raise InputError(
                    f"the page opens files of folders named at its start only, got {term.file!r}; start it with --files FOLDER"
                )
        objective = make_objective(self.model, [target], ObjectiveOptions(template=self.template), length)
        if len(objective.targets) > 1:
            raise InputError(f"expected one target, got {len(objective.targets)}; name one unit")
        return objective

    def _may_open(self, file: str) -> bool:
        try:
            place = Path(file).resolve()
        except (OSError, RuntimeError, ValueError):  # a name that no file can have, or a loop of links
            return False
        return any(place.is_relative_to(folder) for folder in self._files)

    def _work(self) -> None:
        while (job := self._queue.get()) is not None:
            with self._lock:
                if job.unwanted:
                    continue
                job.state = "running"
                job.tell()
            self._do(job)

    def _do(self, job: Job) -> None:
        try:
            state, last = self._explained(job) if job.by == CONCEPTS else self._searched(job)
        except Exception as error:  # a worker that died would leave all other jobs waiting for ever
            brief = str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {_brief(error)}"
            state, last = "failed", {"error": brief}
        with self._lock:
            job.state = state
            job.tell(**last)

    def _explained(self, job: Job) -> tuple[str, dict[str, Any]]:
        """The concepts of a job's target, and a sentence about them."""
        objective = self._objective(job.target, job.length)
        try:
            read = None if self.corpus is None else corpus_search(objective, self.corpus)
            exact = Exact(objective, pause=job.check_wanted)
            found = concepts(objective, read, job.budget, job.seed, Cache.usual(), look=job.look, exact=exact)
        except KeyboardInterrupt:
            return "cancelled", {}
        return "done", {"explained": Explained.values(found), "description": describe(found)[0].text}

    def _searched(self, job: Job) -> tuple[str, dict[str, Any]]:
        """The texts of a job's search."""
        objective = self._objective(job.target, job.length)
        plan = self._plan(job, objective)
        best = {"activation": float("-inf")}

        def tell(number: int, proposal: Proposal, scores: Scores) -> None:
            value, place = scores.value[0].max(0)
            if math.isfinite(value):
                found = {"text": self._text(proposal.ids[0, int(place)]), "activation": float(value)}
                best.update(max(best, found, key=lambda one: one["activation"]))
                job.tell(round=number, now=found, best=dict(best), temperature=proposal.progress.get("temperature"))

        def look(done: int, activation: Tensor) -> None:
            job.check_wanted()

        bounds = Budget(forwards=job.budget)
        if plan.method is None:
            assert plan.corpus is not None
            plan, bounds = Plan(plan.name, None, plan.corpus), Budget(forwards=math.inf)
        assert plan.method is not None
        watched = dataclasses.replace(plan, method=Watched(plan.method, tell))
        found = run_plan(objective, watched, bounds, job.seed, watch=look)
        told = [{"text": one.text, "activation": _known(one.activation), "forwards": one.total_forwards} for one in found.records]
        return "cancelled" if found.interrupted else "done", next(iter(told), {})

    def _plan(self, job: Job, objective: Objective) -> Plan:
        reads = self.corpus is not None and reads_corpus([job.by])
        return Plan.of(job.by, objective, corpus_search(objective, self.corpus) if reads and self.corpus else None, job.budget)

    def _text(self, ids: torch.Tensor) -> str:
        return self.model.vocabulary.decode(ids.tolist())


def _known(value: float | None) -> float | None:
    """The value, or None for what JSON cannot hold."""
    return value if value is not None and math.isfinite(value) else None


def _brief(error: Exception) -> str:
    return " ".join(str(error).split())[:120]
