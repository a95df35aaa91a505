"""The cost of a study before it starts: forward-equivalents by arithmetic, seconds from a short trial of each method."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

from optigram.engine.threads import one_thread
from optigram.methods import Method
from optigram.optimize.search import Budget, search
from optigram.study.cells import Cell, StudyContext


@dataclass(frozen=True)
class Row:
    """One method of one arm: `cells` to run, `targets` in them, `forwards` forward-equivalents per target, `seconds` in all.

    Both costs are those of searches that run to their last step; patience may end them earlier.
    """

    arm: str
    method: str
    cells: int
    targets: int
    forwards: float
    seconds: float


def estimate(context: StudyContext, cells: Sequence[Cell]) -> list[Row]:
    """One row per arm and method among `cells`."""
    groups: dict[tuple[str, str], list[Cell]] = {}
    for cell in cells:
        groups.setdefault((cell.arm, cell.method), []).append(cell)
    return [_row(context, arm, name, group) for (arm, name), group in groups.items()]


def _row(context: StudyContext, arm: str, name: str, cells: Sequence[Cell]) -> Row:
    plan = context.plan(arm, name)
    budget = plan.bounded(Budget(forwards=context.arms[arm].budget)).forwards or math.inf
    costs = {part: part.cost(budget) for part in (plan.corpus, plan.method) if part is not None}
    by_site: dict[str, list[Cell]] = {}
    seconds = 0.0
    for cell in cells:
        by_site.setdefault(cell.targets[0].split(":")[0].split("*")[-1].lstrip("-"), []).append(cell)
    for alike in by_site.values():
        for method, cost in costs.items():
            probed = min(method.batch or math.inf, len(alike[0].targets))
            batches = sum(1 if method.batch is None else len(cell.targets) / probed for cell in alike)
            seconds += batches * _probe(context, alike[0], method, cost)
    return Row(arm, name, len(cells), sum(len(cell.targets) for cell in cells), sum(costs.values()), seconds)


def _probe(context: StudyContext, cell: Cell, method: Method, cost: float) -> float:
    """Seconds of one batch of a cell's targets at `cost` each, from a small part of the work done twice; the first run warms up."""
    size = method.batch or len(cell.targets)
    objective = context.objective(cell.arm, cell.targets[:size])
    part = method.probe()
    with one_thread():
        search(objective, part, Budget(rounds=2))
        begun = time.perf_counter()
        found = search(objective, part, Budget(rounds=2)).found[0]
        seconds = time.perf_counter() - begun
    assert found is not None
    work = part.cost(math.inf)  # a method without an end spends what its rounds cost
    return seconds * max(cost / (found.forwards + found.backwards if math.isinf(work) else work), 1.0)
