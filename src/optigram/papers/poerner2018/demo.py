"""What `optigram demo` runs: the paper's methods on a few neurons of each path, for a table like its Table 1."""

from collections.abc import Iterable

from optigram.optimize.baseline import BASELINE
from optigram.runs.records import Record

MODEL = "imaginet"
METHODS = ("emb", "logit", "smx", "gbl")
TARGETS = ("language:umbrella", "language:tongue", "language:tracks", "visual:pizza", "visual:dog", "visual:umbrella")
ALL_METHODS, BUDGET = (BASELINE, *METHODS), 5000
ABOUT = """Each row is the best 5-gram that a method found for a neuron of the bundled Imaginet, scored by the model on the discrete text.
A language neuron is the score of a next word, a visual neuron that of an object in the scene. {baseline} scored every 5-gram of
sentences that the model sampled; the others started from random texts, with about {budget:,} forward-equivalents (f.e.) per neuron.
Neurons on which a method beats {baseline}: {wins}."""


def summary(records: Iterable[Record]) -> str:
    """What was run, and on how many neurons each method beat corpus search."""
    best = {(record.method, record.target): record.activation for record in records if record.rank == 1}
    wins = {
        method: sum(best[method, target] > best[BASELINE, target] for target in TARGETS if (method, target) in best) for method in METHODS
    }
    told = ", ".join(f"{method} {count} of {len(TARGETS)}" for method, count in wins.items())
    return ABOUT.format(baseline=BASELINE, budget=BUDGET, wins=told)
