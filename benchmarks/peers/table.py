"""The table of all that was found: python benchmarks/peers/table.py --working DIR [--ours auto]

A target's worth is counted from the mean of 100 random texts (0) to the best text that anything in the file found for it (1).
Wins are of `--ours` against each entrant at the same budget, on the targets that both were asked for.
"""

import argparse
import os
from pathlib import Path

import numpy as np
import torch
from judge import judged
from run import OURS, Line

from optigram.study.statistics import Interval, grouped, median, share

COLUMNS = (
    *("contest", "budget", "tool", "targets", "median worth", "median nats", "f.e.", "processor s"),
    *("ours wins", "survive", "reported - judged", "independent - judged"),
)


def main() -> None:
    """Judge what is new, and print the rows of every contest and budget."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--working", type=Path, required=True)
    options.add_argument("--ours", default="auto")
    asked = options.parse_args()
    os.environ["HF_HUB_OFFLINE"] = "1"
    torch.set_num_threads(1)
    found = judged(asked.working)
    best = {key: max(line["judged"] for line in group) for key, group in grouped(found, target_of).items()}
    print(f"| {' | '.join(COLUMNS)} |", f"|{'---|' * len(COLUMNS)}", sep="\n")
    for (contest, budget), group in sorted(grouped(found, lambda line: (line["contest"], line["budget"])).items()):
        ours = {line["target"]: line["judged"] for line in group if (line["tool"], line["method"]) == (OURS, asked.ours)}
        for (tool, method), lines in sorted(grouped(group, lambda line: (line["tool"], line["method"])).items()):
            print(row(contest, budget, f"{tool} {method}", lines, best, {} if (tool, method) == (OURS, asked.ours) else ours))


def target_of(line: Line) -> tuple[str, str]:
    """What is maximised."""
    return line["contest"], line["target"]


def row(contest: str, budget: float, name: str, lines: list[Line], best: dict[tuple[str, str], float], ours: dict[str, float]) -> str:
    """One entrant at one budget; an empty `ours` leaves the wins out."""
    worth = median([(line["judged"] - line["floor"]) / (best[target_of(line)] - line["floor"]) for line in lines])
    pairs = [(ours[line["target"]], line["judged"]) for line in lines if line["target"] in ours]
    wins = share(sum(mine > theirs for mine, theirs in pairs), len(pairs))
    nats = np.median([line["log_probability"] for line in lines]) if contest == "word" else np.nan
    cells = [
        contest,
        f"{budget:,.0f}",
        name,
        str(len(lines)),
        shown(worth, "{:.2f}"),
        "" if np.isnan(nats) else f"{nats:.2f}",
        f"{np.median([line['spent'] for line in lines]):,.0f}",
        f"{np.median([line['processor'] for line in lines]):.0f}",
        f"{shown(wins, '{:.0%}')} of {len(pairs)}" if pairs else "",
        f"{np.mean([line['survives'] for line in lines]):.0%}",
        f"{max(abs(line['reported'] - counted(line)) for line in lines):.1e}",
        f"{max(abs(line['independent'] - line['judged']) for line in lines):.1e}",
    ]
    return f"| {' | '.join(cells)} |"


def counted(line: Line) -> float:
    """What the tool's own number is to be held against: of nanogcg, the log probability."""
    return line["log_probability"] if line["tool"] == "nanogcg" else line["judged"]


def shown(interval: Interval, form: str) -> str:
    """An estimate with its interval."""
    return f"{form.format(interval.value)} [{form.format(interval.low)}, {form.format(interval.high)}]"


if __name__ == "__main__":
    main()
