"""The search loop: a method proposes texts, the objective scores them, the top-k keeps the best, and the method gets the scores."""

import dataclasses
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from optigram.errors import InputError
from optigram.objective.objective import Objective
from optigram.objective.scores import Scores
from optigram.optimize.checkpoint import Checkpoint, Progress, work_of
from optigram.optimize.method import Method, Proposal, Proposals, Resumable, check_method
from optigram.optimize.notes import ENDS, SOFT
from optigram.optimize.pareto import ParetoFront
from optigram.optimize.rescore import Rescored, rescore
from optigram.optimize.result import SearchResult, TargetResult
from optigram.optimize.topk import TopK
from optigram.shapes import Int

Watch = Callable[[int, Tensor], None]  # called after every round: targets done, and the best activations [k] of the running batch
STATE = ("activation", "notes", "end", "stale", "broken", "trace", "rounds", "seconds", "recent")  # of a batch
SPENT = ("forwards", "backwards", "active")  # of its costs


@dataclass(frozen=True)
class Budget:
    """When the search of a target stops at the latest; None sets no bound.

    `forwards`: forward-equivalents per target; no round starts that would exceed it at the cost of the round before, or, in a method
    without an end, at that of the dearest of the last rounds, one more than a text has words: rounds differ by the position.
    `seconds`: per batch of targets. `rounds`: proposals. `patience`: rounds without a better text (None: the method's own).
    """

    forwards: float | None = None
    seconds: float | None = None
    rounds: int | None = None
    patience: int | None = None

    def __post_init__(self) -> None:
        for name, bound in vars(self).items():
            if bound is not None and not bound > 0:
                raise InputError(f"expected a budget of more than 0 {name}, got {bound}; leave it out for no bound")

    def allows(self, spent: Tensor, cost: Tensor, seconds: float, rounds: int, stale: Tensor) -> Tensor:
        """Which targets [k] may run one more round that costs `cost`; `stale` are their rounds without a better text."""
        continues = torch.ones_like(stale, dtype=torch.bool)
        if self.forwards is not None:
            continues &= spent + cost <= self.forwards
        if self.patience is not None:
            continues &= stale < self.patience
        if (self.seconds is not None and seconds >= self.seconds) or (self.rounds is not None and rounds >= self.rounds):
            continues[:] = False
        return continues


def search(
    objective: Objective,
    method: Method,
    budget: Budget | None = None,
    seed: int = 0,
    n: int = 1,
    watch: Watch = lambda done, best: None,
    start: Int[Tensor, "k n t"] | None = None,
    front: bool = False,
    checkpoint: Checkpoint | None = None,
) -> SearchResult:
    """The n best texts for every target of `objective`, found by `method`, which may begin from the texts `start` (-1: none).

    With `front`, the Pareto front of all scored texts (`ParetoFront`) in place of the n best.

    Targets run in batches of at most `method.batch`. The result of a target depends only on the target, the settings and the seed.
    Ctrl-C ends the search and returns what was found until then, with `interrupted` set. A `checkpoint` is written while the
    search runs, and read at its beginning: the same search ends as it would have, had it not been killed. Of a target that is a function
    there is none, for nothing tells whether its code has changed.
    Raises InputError for n below 1, for a front without a fluency, and for an object that is no method.
    """
    if n < 1:
        raise InputError(f"expected to keep at least 1 text per target, got {n}")
    if front and objective.fluency is None:
        raise InputError("a Pareto front needs a surprisal; give the objective a fluency")
    check_method(method)
    objective = objective if method.batch is None else objective.climbing()
    result, done = SearchResult([None] * len(objective.targets)), 0
    checkpoint = None if any(target.custom for target in objective.targets) else checkpoint
    work = "" if checkpoint is None else work_of(objective, method, budget, seed, n, start, front)
    progress = Progress() if checkpoint is None else checkpoint.read()
    progress = progress if progress.work == work else Progress()
    known = list(progress.done)
    for members in _batches(objective, method):
        found = known[done : done + len(members)]
        if not found:
            run = _Run(objective.subset(members), budget or Budget(), n, front, owned=method.batch is not None)
            proposals = run.begin(method, seed, None if start is None else start[members], progress)
            kept = checkpoint if isinstance(method, Resumable) else None
            result.interrupted = run.go(proposals, method, lambda best, done=done: watch(done, best), kept, known, work)
            found, progress = [*run.found()], Progress()
            known += found
        done += len(members)
        for member, one in zip(members, found, strict=True):
            result.found[member] = one
        if result.interrupted:
            break
        if checkpoint is not None and checkpoint.due:
            checkpoint.write(Progress(known, work=work))
    return result


def _batches(objective: Objective, method: Method) -> Iterator[list[int]]:
    """The numbers of the targets of each batch: all of them, or as many as the method takes of those that read the same sites."""
    if method.batch is None:
        yield list(range(len(objective.targets)))
        return
    for members in objective.target_groups():
        yield from (members[start : start + method.batch] for start in range(0, len(members), method.batch))


class _Run:
    """The state of one running batch: what it has found and spent. All tensors here are on the CPU."""

    def __init__(self, objective: Objective, budget: Budget, n: int, front: bool, owned: bool) -> None:
        k = len(objective.targets)
        self.objective, self.budget, self.owned = objective, budget, owned
        self.best = TopK.empty(k, n, objective.length)
        self.front = ParetoFront.empty(k, objective.length) if front else None
        self.activation = torch.full((k,), -torch.inf)  # of the best text
        self.notes: dict[str, Tensor] = {}
        self.end = {name: torch.full((k,), torch.nan) for name in ENDS}
        self.stale, self.broken = torch.zeros(k), torch.zeros(k)
        self.trace: list[list[tuple[float, float, float]]] = [[] for _ in range(k)]
        self.rounds, self.seconds = 0, 0.0
        self.recent: list[Tensor] = []  # costs of the last rounds

    def state(self) -> dict[str, Any]:
        """All that changes while the batch runs."""
        kept = {"best": vars(self.best), "front": None if self.front is None else vars(self.front)}
        return kept | {name: getattr(self, name) for name in STATE} | {name: getattr(self.objective.cost, name) for name in SPENT}

    def begin(self, method: Method, seed: int, start: Tensor | None, progress: Progress) -> Proposals:
        """The proposals of the method, from where the progress left it."""
        if progress.batch is None or progress.method is None or not isinstance(method, Resumable):
            return method.propose(self.objective, seed, start)
        best, front = progress.batch["best"], progress.batch["front"]
        self.best, self.front = TopK(**best), None if front is None else ParetoFront(**front)
        for name in STATE:
            setattr(self, name, progress.batch[name])
        for name in SPENT:
            setattr(self.objective.cost, name, progress.batch[name])
        return method.resume(self.objective, seed, progress.method)

    def go(
        self,
        proposals: Proposals,
        method: Method,
        watch: Callable[[Tensor], None],
        checkpoint: Checkpoint | None,
        done: list[TargetResult],
        work: str,
    ) -> bool:
        """Run to the end; return whether Ctrl-C ended it. `done`, the results of the batches before, and `work` are for the checkpoint."""
        budget = self.budget if self.budget.patience else dataclasses.replace(self.budget, patience=method.patience)
        cost, begun = self.objective.cost, time.perf_counter() - self.seconds
        scores, remembered = None, 1 if method.ends else self.objective.length + 1
        try:
            while cost.active.any():
                before = cost.spent
                proposal = next(proposals) if scores is None else proposals.send(scores)
                scores = self.objective.score(proposal.ids, self.owned)
                self._keep(proposal, scores)
                self.rounds, self.seconds = self.rounds + 1, time.perf_counter() - begun
                self.recent = [*self.recent, cost.spent - before][-remembered:]
                cost.active &= budget.allows(cost.spent, torch.stack(self.recent).amax(0), self.seconds, self.rounds, self.stale)
                if checkpoint is not None and proposal.state is not None and checkpoint.due:
                    checkpoint.write(Progress(done, self.state(), proposal.state(), work))
                watch(self.activation)
        except StopIteration:
            pass
        except KeyboardInterrupt:
            return True
        finally:
            proposals.close()
        return False

    def _keep(self, proposal: Proposal, scores: Scores) -> None:
        """Merge the new texts of the active targets into the best, and extend the trace."""
        active, names = self.objective.cost.active, list(proposal.notes)
        ids, value, activation, *notes = _on_host([proposal.ids, scores.value, scores.activation, *proposal.notes.values()])
        self.broken += (value.isnan() | value.isposinf()).sum(1) * active
        value = value.nan_to_num(nan=-torch.inf, posinf=-torch.inf, neginf=-torch.inf).masked_fill(~active[:, None], -torch.inf)
        better = value.amax(1) > self.best.value[:, 0]
        self.best = self.best.with_better(ids, value)
        if self.front is not None and scores.surprisal is not None:
            kept = activation.masked_fill(value.isneginf(), -torch.inf)
            self.front = self.front.merge(ParetoFront.of(ids, kept, scores.surprisal))
        self.stale = torch.where(better, 0, self.stale + 1)
        rows, first = torch.arange(len(better)), value.argmax(1)
        self.activation = torch.where(better, activation[rows, first], self.activation)
        for name, note in zip(names, notes, strict=True):
            old = self.notes.get(name, torch.full((len(better),), torch.nan))
            self.notes[name] = torch.where(better, note[rows, first], old)
        self._keep_end(dict(zip(names, notes, strict=True)).get(SOFT), activation)
        for row in torch.nonzero(active).flatten().tolist():
            point = (self.objective.cost.spent[row], self.activation[row], self.best.value[row, 0])
            self.trace[row].append((float(point[0]), float(point[1]), float(point[2])))

    def _keep_end(self, beliefs: Tensor | None, activation: Tensor) -> None:
        """Note, for the active targets, the soft text that is best now and the discrete text that it becomes; `beliefs` [k c] or none."""
        if beliefs is not None:
            soft, now = beliefs.max(1)
            for name, values in zip(ENDS, (soft, activation.gather(1, now[:, None])[:, 0]), strict=True):
                self.end[name] = torch.where(self.objective.cost.active, values, self.end[name])

    def found(self) -> Iterator[TargetResult]:
        """The result of each target of the batch, after the final re-scoring."""
        for row, last in enumerate(rescore(self.objective, self.best if self.front is None else self.front)):
            yield self._found(row, last)

    def _found(self, row: int, last: Rescored) -> TargetResult:
        cost = self.objective.cost
        return TargetResult(
            ids=last.ids,
            activation=last.activation,
            surprisal=last.surprisal,
            remarks=last.notes,
            forwards=float(cost.forwards[row]),
            backwards=float(cost.backwards[row]),
            seconds=self.seconds / len(self.trace),
            notes={name: float(note[row]) for name, note in (self.notes | self.end).items() if not note[row].isnan()},
            broken=int(self.broken[row]),
            trace=self.trace[row],
        )


def _on_host(parts: list[Tensor]) -> list[Tensor]:
    """The tensors on the CPU, those of another device in one transfer: each transfer waits for all that the device has to do."""
    there = [part for part in parts if part.device.type != "cpu"]
    if not there:
        return parts
    packed = [part.float().contiguous().view(torch.int32) if part.is_floating_point() else part.int() for part in there]
    sizes = [part.numel() for part in there]
    pieces = iter(torch.cat([part.flatten() for part in packed]).cpu().split(sizes))
    return [part if part.device.type == "cpu" else _unpacked(next(pieces), part) for part in parts]


def _unpacked(piece: Tensor, like: Tensor) -> Tensor:
    return (piece.view(torch.float32) if like.is_floating_point() else piece).view(like.shape).to(like.dtype)
