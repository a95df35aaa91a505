"""Speed, as ratios measured side by side in one run: a gumbel step against its floor, shared prefixes against none.

python benchmarks/speed.py [--targets 160] [--restarts 4] [--threads 1] [--corpus FILE]
"""

import argparse
import time
from collections.abc import Callable

import torch

from optigram.errors import InputError
from optigram.methods.ascent import BLOCK, Ascent
from optigram.methods.relaxations import Gumbel
from optigram.models.imaginet import Imaginet
from optigram.models.loading import load
from optigram.objective.forward import read_whole
from optigram.objective.objective import Objective
from optigram.objective.rng import Streams
from optigram.optimize.search import search
from optigram.runs.corpus import sentences_for
from optigram.targets.build import neuron
from optigram.text.formats import ngrams

LENGTH = 5


def timed(run: Callable[[], object], times: int = 3) -> float:
    """Seconds of the fastest of several runs."""
    found = []
    for _ in range(times):
        begun = time.perf_counter()
        run()
        found.append(time.perf_counter() - begun)
    return min(found)


def gumbel_step(model: Imaginet, targets: int, restarts: int) -> None:
    """Against its two large products alone, P @ M and the gradient @ M.T, at the same shapes, into memory at hand."""
    neurons = [neuron("language", i + 3) for i in range(targets)]
    table = Objective(model, neurons[:1], LENGTH).table
    rows, (v, d) = targets * restarts * LENGTH, table.shape
    weights, slope = torch.rand(rows, v).softmax(-1), torch.randn(rows, d)
    soft, back = torch.empty(rows, d), torch.empty(rows, v)

    def floor() -> None:
        torch.mm(weights, table, out=soft)
        torch.mm(slope, table.T, out=back)

    def steps(count: int, block: int) -> Callable[[], object]:
        method = Ascent(Gumbel(), count, 0.3, restarts, every=count, block=block)
        return lambda: search(Objective(model, neurons, LENGTH), method)

    def per_step(block: int) -> float:
        return (timed(steps(9, block), 2) - timed(steps(1, block), 2)) / 8

    products = timed(floor)
    batched, single = per_step(BLOCK), per_step(1)
    streams = Streams(0, [str(target) for target in neurons], restarts, torch.device("cpu"))
    logits = torch.zeros(targets, restarts, LENGTH, v)
    fresh, pooled = timed(lambda: streams.gumbel(LENGTH, v)), timed(lambda: streams.plus_gumbel(logits, 1))
    print(f"gumbel step, {targets} targets x {restarts} restarts x {LENGTH} words x {v} words of vocabulary, width {d}")
    print(f"  its two products alone           1.00   ({4 * rows * v * d / products / 1e9:.0f} GFLOP/s)")
    print(f"  a step, in batches of {BLOCK:2d} texts    {batched / products:.2f}")
    print(f"  a step, one target at a time     {single / products:.2f}")
    print(f"  noise: fresh                     {fresh / products:.2f}")
    print(f"  noise: pooled, added             {pooled / products:.2f}")


def shared_prefixes(model: Imaginet, corpus: str | None) -> None:
    """All n-grams of the bundled sentences, each prefix once, against every n-gram from its first word."""
    neurons = [neuron("language", i + 3) for i in range(32)]
    objective = Objective(model, neurons, LENGTH)
    written = sentences_for(model, corpus).texts
    texts = torch.from_numpy(ngrams(written, model.vocabulary, LENGTH, objective.lexicon.numpy()))[None]
    windows = sum(max(len(model.vocabulary.encode(text)) - LENGTH + 1, 0) for text in written)

    def plainly() -> torch.Tensor:
        with torch.no_grad():
            return read_whole(model, texts, objective._groups)

    begun = time.perf_counter()
    shared = objective.score(texts).activation
    middle = time.perf_counter()
    plain = plainly()
    ended = time.perf_counter()
    steps = float(objective.cost.forwards[0])
    print(f"corpus search over {texts.shape[1]:,} unique {LENGTH}-grams in {windows:,} windows")
    print(f"  cell steps, every window from its first word / shared     {windows / steps:.2f}")
    print(f"  cell steps, every unique n-gram from its first / shared   {texts.shape[1] / steps:.2f}")
    print(f"  time, every unique n-gram from its first / shared         {(ended - middle) / (middle - begun):.2f}")
    print(f"  largest difference of scores                              {(shared - plain).abs().max():.1e}")


def main() -> None:
    """Print every ratio."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--targets", type=int, default=160)
    options.add_argument("--restarts", type=int, default=4)
    options.add_argument("--threads", type=int, default=1)
    options.add_argument("--model", default="imaginet")
    options.add_argument("--corpus", help="default: the sentences that the bundled model wrote")
    chosen = options.parse_args()
    torch.set_num_threads(chosen.threads)
    model = load(chosen.model)
    if not isinstance(model, Imaginet):
        raise InputError(f"expected an Imaginet to measure, got {model.name}")
    gumbel_step(model, chosen.targets, chosen.restarts)
    shared_prefixes(model, chosen.corpus)


if __name__ == "__main__":
    main()
