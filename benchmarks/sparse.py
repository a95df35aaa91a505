"""Gumbel over a shortlist of words against gumbel over all of them: what it finds, what it costs, and where the time goes.

    python benchmarks/sparse.py [--words 50000] [--most 32] [--budget 5000] [--tried 64,128] [--sites language,visual] [--longer]

Both take turns, 16 neurons at a time, on one thread; seconds are those of the processor, so that what else runs on the machine counts
little. With `--words` the bundled model's vocabulary is filled up with disturbed copies of its words, in the embedding and in
the projection. With `--longer` the sparse method runs once more, at as many times the budget as make its seconds the dense one's.
"""

import argparse
import dataclasses
import time
from collections.abc import Callable

import numpy as np
import torch

from methods import neurons
from optigram.methods.ascent import Ascent
from optigram.methods.paper import modern
from optigram.methods.registry import SEARCHES
from optigram.methods.relaxations import Gumbel, mixed
from optigram.methods.shortlist import Shortlist
from optigram.models.imaginet import Imaginet
from optigram.models.loading import load
from optigram.objective.objective import Objective
from optigram.objective.rng import Streams
from optigram.objective.scores import SoftText
from optigram.optimize.search import search
from optigram.study import statistics

LENGTH, TURN, DISTURBED = 5, 16, 0.5  # the last: the noise of a copied word, in standard deviations of the matrix
DENSE = "gbl"


def widened(model: Imaginet, words: int) -> Imaginet:
    """The same network with so many words: disturbed copies of its own are added."""
    rng = np.random.default_rng(0)
    special, own = len(model.vocabulary.special), len(model.vocabulary)
    copied = torch.from_numpy(rng.integers(special, own, size=words - len(model.words)))
    larger = Imaginet(
        (*model.words, *(f"word{i}" for i in range(len(copied)))), model.labels, model.sizes, f"{model.name} of {words:,} words"
    )
    state = dict(model.state_dict())
    for name in ("word_embedding.weight", "projections.language.weight", "projections.language.bias", "first_words"):
        rows = state[name][copied]
        noise = torch.from_numpy(rng.standard_normal(tuple(rows.shape), dtype=np.float32))
        state[name] = torch.cat([state[name], rows + DISTURBED * state[name].std() * noise])
    larger.load_state_dict(state)
    return larger.eval().requires_grad_(False)


def made(tried: int, budget: float) -> Ascent:
    """The sparse method with a shortlist of so many words."""
    usual = SEARCHES["sgbl"](budget, False)
    assert isinstance(usual, Ascent)
    return dataclasses.replace(usual, shortlist=tried)


def run(objective: Objective, method: Ascent) -> tuple[np.ndarray, float, float]:
    """Activations, processor seconds, and mean forward-equivalents of a target."""
    begun = time.process_time()
    found = [one for one in search(objective, method).found if one is not None]
    seconds = time.process_time() - begun
    return np.array([float(one.activation[0]) for one in found]), seconds, float(np.mean([one.forwards + one.backwards for one in found]))


def compare(objective: Objective, methods: dict[str, Ascent]) -> dict[str, tuple[np.ndarray, float, float]]:
    """Each method on all targets, in turns."""
    turns: dict[str, list[tuple[np.ndarray, float, float]]] = {name: [] for name in methods}
    for start in range(0, len(objective.targets), TURN):
        part = objective.subset(range(start, min(start + TURN, len(objective.targets))))
        for name, method in methods.items():
            turns[name].append(run(part, method))
    return {name: (np.concatenate([a for a, _, _ in rows]), sum(s for _, s, _ in rows), rows[0][2]) for name, rows in turns.items()}


def timed(work: Callable[[], object], times: int = 6) -> float:
    """Milliseconds of the fastest of several runs."""
    found = []
    for _ in range(times):
        begun = time.process_time()
        work()
        found.append(time.process_time() - begun)
    return 1000 * min(found)


def parts(objective: Objective, method: Ascent) -> dict[str, float]:
    """Milliseconds a target of each part of a step, in a batch of the method's size."""
    size = method.batch
    relaxation, part = method.relaxation, objective.subset(range(size))
    assert isinstance(relaxation, Gumbel)
    streams = Streams(0, [str(target) for target in part.targets], method.restarts, part.device)
    words = None if method.shortlist is None else Shortlist.of(part, streams, method.shortlist, None)
    table = part.table if words is None else words.table(part.table)
    theta = relaxation.start(streams, LENGTH, table).requires_grad_()
    optimizer = torch.optim.AdamW([theta], lr=method.rate, weight_decay=0.0, fused=True)
    weights = relaxation.noisy(theta.detach(), streams).softmax(-1)
    embeds = relaxation.soften(theta, table, 0, streams).embeds
    leaf = embeds.detach().requires_grad_()
    value = part.relax(SoftText(leaf, None)).value.sum()
    (slope,) = torch.autograd.grad(value, leaf, retain_graph=True)
    embeds.backward(slope, retain_graph=True)
    looked = part.lexicon[torch.zeros(len(part.targets), method.restarts * (1 + relaxation.draws), LENGTH, dtype=torch.int64)]
    looked += torch.arange(looked.shape[1])[:, None]
    noise = timed(lambda: relaxation.noisy(theta.detach(), streams))
    product = timed(lambda: mixed(weights, table))
    naming = 0.0 if words is None else timed(lambda: Shortlist.of(part, streams, method.shortlist or 0, None).table(part.table), 2)
    found = {
        "noise": noise,
        "product": product,
        "softmax": timed(lambda: relaxation.soften(theta.detach(), table, 0, streams)) - noise - product,
        "forward": timed(lambda: part.relax(SoftText(leaf, None))),
        "backward": timed(lambda: torch.autograd.grad(value, leaf, retain_graph=True)),
        "back through the mixture": timed(lambda: embeds.backward(slope, retain_graph=True)),
        "Adam": timed(lambda: optimizer.step()),
        "looks": (timed(lambda: relaxation.harden(theta.detach(), table, streams), 3) + timed(lambda: part.score(looked), 3))
        / method.every,
        "naming": naming / method.steps,
    }
    return {name: value / size for name, value in found.items()}


def show_parts(objective: Objective, methods: dict[str, Ascent]) -> None:
    """The parts of a step of each method, as shares of the first's step; `floor` is what none can leave out."""
    found = {name: parts(objective, method) for name, method in methods.items()}
    whole = sum(found[next(iter(found))].values())
    print(f"parts of a step, as shares of a step of {next(iter(found))} ({whole:.2f} ms a neuron)")
    for name, row in found.items():
        floor = row["forward"] + row["backward"]
        print(f"  {name:10}" + "  ".join(f"{part} {value / whole:.3f}" for part, value in row.items()))
        print(f"  {'':10}all {sum(row.values()) / whole:.3f}  the model's forward and backward alone {floor / whole:.3f}", flush=True)


def main() -> None:
    """Print the parts of a step, and one row a site and method."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--words", type=int)
    options.add_argument("--most", type=int, default=32, help="neurons of a path")
    options.add_argument("--budget", type=float, default=5000)
    options.add_argument("--tried", default="64", help="words of a shortlist")
    options.add_argument("--sites", default="language,visual")
    options.add_argument("--longer", action="store_true")
    chosen = options.parse_args()
    torch.set_num_threads(1)
    model = load("imaginet")
    assert isinstance(model, Imaginet)
    model = model if chosen.words is None else widened(model, chosen.words)
    tried = {f"sgbl, {words}": int(words) for words in chosen.tried.split(",")}
    methods = {DENSE: modern(DENSE, chosen.budget)} | {name: made(words, chosen.budget) for name, words in tried.items()}
    print(f"{model.name}: {len(model.vocabulary):,} words, {chosen.budget:,.0f} forward-equivalents, one thread")
    show_parts(Objective(model, neurons(model, "language", TURN), LENGTH), methods)
    for site in chosen.sites.split(","):
        objective = Objective(model, neurons(model, site, chosen.most), LENGTH)
        found = compare(objective, methods)
        dense, seconds, _ = found[DENSE]
        if chosen.longer:
            for name, words in tried.items():
                times = seconds / found[name][1]
                found[f"{name} x {times:.1f}"] = run(objective, made(words, times * chosen.budget))
        for name, (values, spent, cost) in found.items():
            ratio = statistics.median(values / dense)
            print(
                f"{site:10}{name:16} mean {values.mean():6.2f}  / {DENSE}: median {ratio.value:.4f} [{ratio.low:.4f}, {ratio.high:.4f}]"
                f"  mean {(values / dense).mean():.4f}  f.e. {cost:,.0f}  seconds {spent:.1f}  / {DENSE} {spent / seconds:.3f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
