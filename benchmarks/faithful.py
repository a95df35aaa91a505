"""The authors' gumbel softmax, taken to its own stopping rule, against `auto`: how much sooner is `auto` as good?

    python benchmarks/faithful.py MODEL OUT.jsonl --corpus FILE [--words 500] [--neurons 5] [--by gbl:faithful]

MODEL is an Imaginet. A faithful run takes some 60,000 steps of 64 samples a neuron, so a small model is advised (`optigram train`),
and texts may be held to the `--words` most frequent words of a corpus. Both begin from random texts, for as many neurons of each
path. A line of OUT.jsonl is a neuron: what the faithful run found and spent, and what `auto` had spent when it was as good, to rounding.
"""

import argparse
import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from methods import neurons
from optigram.files import written_whole
from optigram.methods import method_named
from optigram.models.base import Model
from optigram.models.imaginet import Imaginet
from optigram.models.loading import load
from optigram.objective.objective import Objective
from optigram.optimize.method import Method
from optigram.optimize.search import Budget, TargetResult, search
from optigram.text.formats import sentences
from optigram.text.lexicon import lexicon
from optimum import ROUNDING

LENGTH = 5


@dataclass(frozen=True)
class Row:
    """A neuron; costs are in forward-equivalents."""

    target: str
    method: str
    text: str
    activation: float
    forwards: float
    seconds: float
    auto: str
    auto_activation: float
    auto_as_good_at: float | None


def main() -> None:
    """Run what is asked, method by method and path by path."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("model")
    options.add_argument("out", type=Path)
    options.add_argument("--corpus", required=True)
    options.add_argument("--words", type=int)
    options.add_argument("--neurons", type=int, default=5)
    options.add_argument("--by", default="gbl:faithful/20,gbl:faithful")
    options.add_argument("--budget", type=float, default=10_000)
    options.add_argument("--paths", default="language,visual")
    asked = options.parse_args()
    torch.set_num_threads(1)
    model = load(asked.model)
    assert isinstance(model, Imaginet)
    words = frequent(model, asked.corpus, asked.words)
    rows = [Row(**json.loads(line)) for line in asked.out.read_text("utf-8").splitlines()] if asked.out.exists() else []
    for name in asked.by.split(","):
        for path in asked.paths.split(","):
            for target in neurons(model, path, asked.neurons):
                if (str(target), name) not in {(row.target, row.method) for row in rows}:
                    rows.append(compared(Objective(model, [target], LENGTH, words=words), name, asked.budget))
                    with written_whole(asked.out) as temporary:
                        temporary.write_text("".join(json.dumps(vars(row)) + "\n" for row in rows), encoding="utf-8")
                    show([row for row in rows if row.method == name])


def frequent(model: Model, corpus: str, most: int | None) -> np.ndarray:
    """Ids of the words that are allowed: of all, those that a corpus has most often."""
    counts = Counter(word for one in sentences(corpus) for word in model.vocabulary.encode(one.text))
    return np.sort(np.array(sorted(lexicon(model.vocabulary).tolist(), key=lambda word: -counts[word])[:most]))


def compared(objective: Objective, name: str, budget: float) -> Row:
    """The method to its end, and `auto` within its budget."""
    authors = found(objective, method_named(name, budget, block=1), Budget())
    ours = found(objective, method_named("auto", budget), Budget(forwards=budget))
    value, told = float(authors.activation[0]), objective.model.vocabulary.decode
    return Row(
        target=str(objective.targets[0]),
        method=name,
        text=told(authors.ids[0].tolist()),
        activation=value,
        forwards=authors.forwards + authors.backwards,
        seconds=authors.seconds,
        auto=told(ours.ids[0].tolist()),
        auto_activation=float(ours.activation[0]),
        auto_as_good_at=next((spent for spent, best, _ in ours.trace if best >= value - ROUNDING * abs(value)), None),
    )


def found(objective: Objective, method: Method, budget: Budget) -> TargetResult:
    """What a method finds for the only target."""
    (one,) = search(objective, method, budget).found
    assert one is not None
    return one


def show(rows: list[Row]) -> None:
    """Medians over the neurons; where `auto` was never as good, it was none times as fast."""
    spent, times = [row.forwards for row in rows], [row.forwards / row.auto_as_good_at if row.auto_as_good_at else 0.0 for row in rows]
    good = sum(row.auto_as_good_at is not None for row in rows)
    print(
        f"{rows[0].method}: {len(rows)} neurons, {np.median(spent):,.0f} f.e. ({min(spent):,.0f} to {max(spent):,.0f}); auto as good "
        f"on {good}, with {np.median(times):,.0f} times fewer (median; least {min(times):,.0f})",
        flush=True,
    )


if __name__ == "__main__":
    main()
