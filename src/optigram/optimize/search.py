"""The one loop: a method proposes, the judge scores, the shelf keeps, the method is told."""

import dataclasses
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor

from optigram.errors import InputError
from optigram.objective.objective import Objective
from optigram.objective.scores import Scores
from optigram.optimize.method import Method, Proposal
from optigram.optimize.pareto import ParetoFront
from optigram.optimize.rescore import Rescored, rescore
from optigram.optimize.topk import TopK
from optigram.shapes import Int

Watch = Callable[[int, Tensor], None]  # told after every round: targets done, and the best activations [k] of those at work


@dataclass(frozen=True)
class Budget:
    """When a target's search stops, at the latest; None sets no bound.

    `forwards`: forward-equivalents of a target; no round is begun that would exceed it at the cost of the one before.
    `seconds`: of a batch of targets. `rounds`: proposals. `patience`: rounds without a better text (None: the method's).
    """

    forwards: float | None = None
    seconds: float | None = None
    rounds: int | None = None
    patience: int | None = None

    def __post_init__(self):
        for name, bound in vars(self).items():
            if bound is not None and not bound > 0:
                raise InputError(f"expected a budget of more than 0 {name}, got {bound}")

    def allows(self, spent: Tensor, cost: Tensor, seconds: float, rounds: int, stale: Tensor) -> Tensor:
        """Which targets [k] may go on for one more round of `cost`; `stale` are their rounds without a better text."""
        goes_on = torch.ones_like(stale, dtype=torch.bool)
        if self.forwards is not None:
            goes_on &= spent + cost <= self.forwards
        if self.patience is not None:
            goes_on &= stale < self.patience
        if (self.seconds is not None and seconds >= self.seconds) or (self.rounds is not None and rounds >= self.rounds):
            goes_on[:] = False
        return goes_on


@dataclass(frozen=True)
class TargetResult:
    """What a search found for one target, and what it cost.

    `ids` [n t] and `activation` [n], best first, without gaps: fewer than n if no more texts had an activation.
    `forwards`, `backwards`: forward-equivalents. `seconds`: an even share of its batch's time. `notes`: what the method
    believed of the best text. `broken`: how many texts scored NaN. `trace`: (forward-equivalents, activation, value) of the text
    with the best value, after every round. `surprisal` [n]: nats per token, if fluency counts. `remarks`: the judge's own
    notes [n] on the texts.
    """

    ids: Tensor
    activation: Tensor
    forwards: float
    backwards: float
    seconds: float
    notes: dict[str, float]
    broken: int
    trace: list[tuple[float, float, float]]
    surprisal: Tensor | None = None
    remarks: dict[str, Tensor] = field(default_factory=dict)


@dataclass
class SearchResult:
    """One `TargetResult` for each target in order, None for those that a Ctrl-C came before."""

    found: list[TargetResult | None]
    interrupted: bool = False


def search(
    objective: Objective,
    method: Method,
    budget: Budget | None = None,
    seed: int = 0,
    n: int = 1,
    watch: Watch = lambda done, best: None,
    start: Int[Tensor, "k n t"] | None = None,
    front: bool = False,
) -> SearchResult:
    """The n best texts of every target of `objective`, by `method`, which may begin from texts of `start` (-1: none).

    With `front`, instead of the n best, all those judged that no other beats in activation and surprisal at once (`ParetoFront`).

    Targets run in batches of one shape, the last filled up with copies, so that a target's result depends on nothing but
    the target, the settings and the seed. Ctrl-C ends the search, and what was found so far is kept.
    """
    if n < 1:
        raise InputError(f"expected to keep at least 1 text of a target, got {n}")
    if front and objective.fluency is None:
        raise InputError("a front needs a surprisal; give the objective a fluency")
    outcome, done = SearchResult([None] * len(objective.targets)), 0
    for members, batch in _batches(objective, method):
        run = _Run(objective.subset(batch), budget or Budget(), n, len(members), front)
        begin = None if start is None else start[batch]
        outcome.interrupted = run.go(method, seed, lambda best, done=done: watch(done, best), begin)
        done += len(members)
        for member, found in zip(members, run.found(), strict=True):
            outcome.found[member] = found
        if outcome.interrupted:
            break
    return outcome


def _batches(objective: Objective, method: Method) -> Iterator[tuple[list[int], list[int]]]:
    """Numbers of the targets of each batch, and the same filled up to the method's size."""
    size = method.batch_targets
    if size is None:
        everyone = list(range(len(objective.targets)))
        yield everyone, everyone
        return
    for members in objective.target_groups():
        for start in range(0, len(members), size):
            batch = members[start : start + size]
            yield batch, [*batch, *batch[-1:] * (size - len(batch))]


class _Run:
    """One batch on its way: what it has found, has spent, and may still spend."""

    def __init__(self, objective: Objective, budget: Budget, n: int, members: int, front: bool):
        k = len(objective.targets)
        self.objective, self.budget, self.members = objective, budget, members
        self.best = TopK.empty(k, n, objective.length)
        self.front = ParetoFront.empty(k, objective.length) if front else None
        self.notes: dict[str, Tensor] = {}
        self.stale, self.broken = torch.zeros(k), torch.zeros(k)
        self.activation = torch.full((k,), -torch.inf)  # of the text with the best value
        self.trace: list[list[tuple[float, float, float]]] = [[] for _ in range(k)]
        self.rounds, self.seconds = 0, 0.0

    def go(self, method: Method, seed: int, watch: Callable[[Tensor], None], start: Tensor | None) -> bool:
        """Run to the end; tell whether Ctrl-C was what ended it."""
        budget = self.budget if self.budget.patience else dataclasses.replace(self.budget, patience=method.patience)
        cost, begun = self.objective.cost, time.perf_counter()
        proposals, scores = method.propose(self.objective, seed, start), None
        try:
            while cost.active.any():
                before = cost.spent
                proposal = next(proposals) if scores is None else proposals.send(scores)
                scores = self.objective.score(proposal.ids)
                self._keep(proposal, scores)
                self.rounds, self.seconds = self.rounds + 1, time.perf_counter() - begun
                cost.active &= budget.allows(cost.spent, cost.spent - before, self.seconds, self.rounds, self.stale)
                watch(self.best.activation[: self.members, 0])
        except StopIteration:
            pass
        except KeyboardInterrupt:
            return True
        finally:
            proposals.close()
        return False

    def _keep(self, proposal: Proposal, scores: Scores) -> None:
        """Put the new texts of the targets that still pay on the shelf, by what they are worth."""
        active, activation = self.objective.cost.active, scores.value.cpu()
        self.broken += activation.isnan().sum(1) * active
        activation = activation.nan_to_num(nan=-torch.inf, posinf=torch.inf, neginf=-torch.inf)
        activation = activation.masked_fill(~active[:, None], -torch.inf)
        better = activation.amax(1) > self.best.activation[:, 0]
        self.best = self.best.merge(TopK.of(proposal.ids.cpu(), activation, self.best.ids.shape[1]))
        if self.front is not None and scores.surprisal is not None:
            kept = scores.activation.cpu().masked_fill(activation.isneginf(), -torch.inf)
            self.front = self.front.merge(ParetoFront.of(proposal.ids.cpu(), kept, scores.surprisal.cpu()))
        self.stale = torch.where(better, 0, self.stale + 1)
        rows, first = torch.arange(len(better)), activation.argmax(1)
        self.activation = torch.where(better, scores.activation.cpu()[rows, first], self.activation)
        for name, value in proposal.notes.items():
            old = self.notes.get(name, torch.full((len(better),), torch.nan))
            self.notes[name] = torch.where(better, value.cpu()[rows, first], old)
        for row in torch.nonzero(active).flatten().tolist():
            spent, value = float(self.objective.cost.spent[row]), float(self.best.activation[row, 0])
            self.trace[row].append((spent, float(self.activation[row]), value))

    def found(self) -> Iterator[TargetResult]:
        """What was found for each target of the batch."""
        for row, last in enumerate(rescore(self.objective, self.best if self.front is None else self.front)[: self.members]):
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
            seconds=self.seconds / self.members,
            notes={name: float(value[row]) for name, value in self.notes.items() if not value[row].isnan()},
            broken=int(self.broken[row]),
            trace=self.trace[row],
        )
