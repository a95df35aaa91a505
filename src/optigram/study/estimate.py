"""What a study will cost, before it is begun: forward-equivalents by arithmetic, seconds from a probe of each method."""

import dataclasses
import time
from collections.abc import Sequence
from dataclasses import dataclass

from optigram.engine.threads import one_thread
from optigram.loop import Budget, search
from optigram.methods import Ascent, Corpus, Method
from optigram.study.cells import Cell, Workshop

PROBED_STEPS, PROBED_TEXTS = 3, 4096


@dataclass(frozen=True)
class Row:
    """One method of one arm: `cells` to do, on `targets` in all, `forwards` forward-equivalents a target, `seconds` in all.

    Both are those of a search that runs to its last step; patience may end it earlier.
    """

    arm: str
    method: str
    cells: int
    targets: int
    forwards: float
    seconds: float


def estimate(workshop: Workshop, cells: Sequence[Cell]) -> list[Row]:
    """One row for each arm and method among `cells`."""
    groups: dict[tuple[str, str], list[Cell]] = {}
    for cell in cells:
        groups.setdefault((cell.arm, cell.method), []).append(cell)
    return [_row(workshop, arm, name, group) for (arm, name), group in groups.items()]


def _row(workshop: Workshop, arm: str, name: str, cells: Sequence[Cell]) -> Row:
    method, budget = workshop.method(arm, name), workshop.arms[arm].budget
    whole = forwards(method)
    allowed = whole if budget is None or isinstance(method, Corpus) else min(whole, budget)
    seconds, by_site = 0.0, {}
    for cell in cells:
        by_site.setdefault(cell.targets[0].split(":")[0].split("*")[-1].lstrip("-"), []).append(cell)
    for alike in by_site.values():
        batches = sum(1 if method.side_by_side is None else -(-len(cell.targets) // method.side_by_side) for cell in alike)
        seconds += batches * probe(workshop, alike[0], method) * (allowed / whole)
    return Row(arm, name, len(cells), sum(len(cell.targets) for cell in cells), allowed, seconds)


def forwards(method: Method) -> float:
    """Forward-equivalents of a target when the method runs to its last step; for a corpus all its texts, none shared."""
    match method:
        case Corpus():
            return float(len(method.texts))
        case Ascent():
            return float(method.forwards)
        case _:
            raise TypeError(f"no arithmetic for {method!r}")


def probe(workshop: Workshop, cell: Cell, method: Method) -> float:
    """Seconds of one batch of a cell's targets, from a small part of the work done twice; the first time warms up."""
    size = method.side_by_side or len(cell.targets)
    objective = workshop.objective(cell.arm, cell.targets[:size])
    match method:
        case Corpus():
            part, share = dataclasses.replace(method, texts=method.texts[:PROBED_TEXTS]), len(method.texts) / PROBED_TEXTS
        case Ascent():
            part, share = dataclasses.replace(method, steps=PROBED_STEPS, every=PROBED_STEPS), method.steps / PROBED_STEPS
        case _:
            raise TypeError(f"no probe for {method!r}")
    with one_thread():
        search(objective, part, Budget(rounds=2))
        begun = time.perf_counter()
        search(objective, part, Budget(rounds=2))
        return (time.perf_counter() - begun) * max(share, 1.0)
