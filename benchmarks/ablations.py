"""Ablations of gumbel softmax, coordinate ascent and GCG at equal forward-equivalents: what each part is worth, as one markdown table.

    python benchmarks/ablations.py --corpus captions_val2017.json [--most 24] [--budget 5000] [--sites language,visual] [--only noise,gcg]

Every row of gumbel differs from the first in one thing. Printed are medians of the neurons' ratios to corpus search, with 95% intervals,
the median of their ratios to the first row, and the share of neurons on which the row is above it.
"""

import argparse
import dataclasses
import math

import numpy as np
import torch
from torch import Tensor

from methods import neurons
from optigram.methods import method_named
from optigram.methods import registry as searches
from optigram.methods.ascent import Ascent
from optigram.methods.coordinate import Coordinate
from optigram.methods.gcg import Gcg
from optigram.methods.paper import COLDEST, EVERY, modern
from optigram.methods.relaxations import Gumbel
from optigram.models.loading import load
from optigram.objective.objective import Objective
from optigram.objective.rng import Streams
from optigram.optimize.method import Method
from optigram.optimize.search import Budget, search
from optigram.runs.corpus import sentences_for
from optigram.runs.plan import corpus_search
from optigram.study import statistics

LENGTH = 5


@dataclasses.dataclass(frozen=True)
class Quiet(Gumbel):
    """Softmax at the same falling temperature, without noise in the climb; texts are drawn at the looks as before."""

    def noisy(self, theta: Tensor, streams: Streams) -> Tensor:
        """The logits alone [k c samples t v]."""
        return theta[:, :, None].repeat(1, 1, self.samples, 1, 1)


def changed(budget: float, rate: float | None = None, kind: type[Gumbel] = Gumbel, **settings: float) -> Ascent:
    """Modern gumbel with other settings, in as many restarts and steps as cost the same."""
    usual = modern("gbl", budget)
    assert isinstance(usual.relaxation, Gumbel)
    settings = {"hottest": usual.relaxation.hottest, "draws": usual.relaxation.draws, "samples": 1} | settings
    samples, looked = int(settings["samples"]), 1 + int(settings["draws"])
    cost = 3 * samples + looked / EVERY
    restarts = max(1, round(usual.restarts / samples))
    steps = int((budget / restarts - 2 * looked) / cost)
    cooling = (COLDEST / settings["hottest"]) ** (1 / steps)
    relaxation = kind(cooling=cooling, coldest=COLDEST, **settings)  # pyright: ignore[reportArgumentType]
    return dataclasses.replace(usual, relaxation=relaxation, steps=steps, restarts=restarts, rate=rate or usual.rate)


def rows(budget: float) -> dict[str, Method]:
    """Every row's method, the usual one first."""
    coordinate = searches._coordinate(budget, attends=False)
    return {
        "gbl: temperature from 3, noise, 1 sample, rate 0.5": changed(budget),
        "no noise (softmax, the same temperatures)": changed(budget, kind=Quiet),
        "no noise, no draws at the looks": changed(budget, kind=Quiet, draws=0),
        "noise, no draws at the looks": changed(budget, draws=0),
        "polished: gbl+coordinate": method_named("gbl+coordinate", budget),
        "coordinate alone": method_named("coordinate", budget),
        "temperature from 1": changed(budget, hottest=1.0),
        "temperature from 2": changed(budget, hottest=2.0),
        "temperature from 5": changed(budget, hottest=5.0),
        "straight-through": changed(budget, straight=True),
        "rate 0.2": changed(budget, rate=0.2),
        "rate 1": changed(budget, rate=1.0),
        "4 samples, 1 restart": changed(budget, samples=4),
        "8 samples, 1 restart, half the steps": changed(budget, samples=8),
        "coordinate, 16 candidates, 4 chains": Coordinate(candidates=16),
        "coordinate, 64 candidates, 4 chains": Coordinate(candidates=64),
        "coordinate, 256 candidates, 1 chain": Coordinate(chains=1, candidates=256),
        "coordinate, no blend": dataclasses.replace(coordinate, blend=0),
        "coordinate, gradients at 4 neighbours instead (ARCA)": dataclasses.replace(coordinate, blend=0, neighbours=4),
        "coordinate, never looking deeper": dataclasses.replace(coordinate, deepened=0),
        "gcg, 44 candidates, momentum 0.5": Gcg(),
        "gcg, no momentum": Gcg(momentum=0.0),
        "gcg, momentum 0.9": Gcg(momentum=0.9),
        "gcg, 16 candidates": Gcg(candidates=16),
        "gcg, 512 candidates of 256, no momentum (as published)": Gcg(candidates=512, among=256, momentum=0.0),
    }


def main() -> None:
    """Print the table, a row at a time."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--corpus")
    options.add_argument("--most", type=int, default=24, help="neurons of a path")
    options.add_argument("--budget", type=float, default=5000)
    options.add_argument("--sites", default="language,visual")
    options.add_argument("--only", default="", help="rows whose name has one of these, beside the first")
    chosen = options.parse_args()
    torch.set_num_threads(1)
    model, sites = load("imaginet"), chosen.sites.split(",")
    corpus = sentences_for(model, chosen.corpus)
    objectives = {site: Objective(model, neurons(model, site, chosen.most), LENGTH) for site in sites}
    bases = {site: best(objective, corpus_search(objective, corpus), math.inf) for site, objective in objectives.items()}
    print(f"{corpus.name}; {chosen.most} neurons a path; {chosen.budget:,.0f} forward-equivalents\n")
    print("|" + "".join(f" | {site}: ratio to crp | to the first row | above it" for site in sites) + " |")
    print("|---|" + "---|" * 3 * len(sites), flush=True)
    usual: dict[str, np.ndarray] = {}
    for number, (name, method) in enumerate(rows(chosen.budget).items()):
        if number and not any(part in name for part in chosen.only.split(",")):
            continue
        cells = [name]
        for site, objective in objectives.items():
            found = best(objective, method, chosen.budget)
            first = usual.setdefault(site, found)
            ratio, above = statistics.median(found / bases[site]), (found > first).mean()
            cells += [f"{ratio.value:.3f} [{ratio.low:.3f}, {ratio.high:.3f}]", f"{np.median(found / first):.3f}", f"{above:.0%}"]
        print("| " + " | ".join(cells) + " |", flush=True)


def best(objective: Objective, method: Method, budget: float) -> np.ndarray:
    """The best activation of each target."""
    bounds = Budget(forwards=None if math.isinf(budget) else budget)
    return np.array([float(one.activation[0]) for one in search(objective, method, bounds).found if one is not None])


if __name__ == "__main__":
    main()
