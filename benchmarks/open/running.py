"""optigram's own methods on a directory, as one more tool: they write a submission like any other."""

import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.open.directory import Directory, Target
from optigram.optimize.search import Budget
from optigram.runs.find import run_plan
from optigram.runs.plan import Plan

POINTS = 12  # of a curve, at most


def run(directory: Directory, targets: Sequence[Target], method: str, budget: float, seeds: int, file: Path) -> Iterator[tuple[str, int]]:
    """Search what is missing in a file of one method and budget, and append it; yield the model and number of targets of each search."""
    done = (
        {(line["target"], line["seed"]) for line in map(json.loads, file.read_text(encoding="utf-8").splitlines())}
        if file.exists()
        else set()
    )
    for seed in range(seeds):
        for group in directory.together([target for target in targets if (target["id"], seed) not in done]):
            lines = searched(directory, group, method, budget, seed)
            with file.open("a", encoding="utf-8") as opened:
                opened.write("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))
            yield group[0]["model"], len(group)


def searched(directory: Directory, group: Sequence[Target], method: str, budget: float, seed: int) -> list[dict[str, Any]]:
    """The best text of each target. Seconds are of the processor, an even share; targets without an allowed text have no line."""
    objective, begun = directory.objective(group), time.process_time()
    records = run_plan(objective, Plan.of(method, objective, None, budget), Budget(forwards=budget), seed).records
    seconds, ids = (
        (time.process_time() - begun) / len(group),
        {str(one): target["id"] for one, target in zip(objective.targets, group, strict=True)},
    )
    lines = []
    for record in records:
        rises = [
            point
            for number, point in enumerate(record.trace)
            if number in (0, len(record.trace) - 1) or point[1] > record.trace[number - 1][1]
        ]
        curve = [[round(at, 1), round(value, 5)] for at, value, *_ in rises[:: len(rises) // POINTS + 1]]
        spent = round(record.total_forwards, 1)
        line = {
            "target": ids[record.target],
            "seed": seed,
            "text": record.text,
            "forwards": spent,
            "seconds": round(seconds, 4),
            "curve": curve,
        }
        lines.append(line)
    return lines
