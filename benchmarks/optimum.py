"""The true optimum, by trying every text, and how often methods find it.

    python benchmarks/optimum.py [--by auto,coordinate,gbl] [--budget 10000] [--known FILE]

Three contests on the bundled Imaginet: texts of 3 words of 50 drawn ones (125,000 texts, judged one and all), for 100 neurons of
each path; texts of 2 words of the whole vocabulary (83 million), for 120 language and 80 visual neurons. These are not judged
one by one: the second word only bends what the gates make of the first, so all pairs are a few minutes' work for each path;
the best eight of each neuron are then judged. `--known` keeps the optima in a JSON file, for another time. Methods know no corpus,
so that they begin from random texts. A method finds an optimum if its text's activation is that of the optimum, to rounding.
"""

import argparse
import itertools
import json
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from methods import neurons
from optigram.files import written_whole
from optigram.methods import Corpus
from optigram.models.imaginet import Imaginet
from optigram.models.loading import load
from optigram.objective.objective import Objective
from optigram.optimize.search import Budget, search
from optigram.runs.find import run_plan
from optigram.runs.plan import plan_of
from optigram.study import statistics

WORDS, KEPT = 50, 8
ROUNDING = 2e-5  # of an activation: products of other shapes round otherwise
COUNTS = {"language": 120, "visual": 80}


def main() -> None:
    """Print a line a contest and method."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--by", default="auto,coordinate,beam,gcg,genetic,random,gbl")
    options.add_argument("--budget", type=float, default=10_000)
    options.add_argument("--known", type=Path)
    asked = options.parse_args()
    torch.set_num_threads(1)
    model = load("imaginet")
    assert isinstance(model, Imaginet)
    known: dict[str, dict[str, float]] = json.loads(asked.known.read_text("utf-8")) if asked.known and asked.known.exists() else {}
    for kind, path in itertools.product(("few words", "two words"), COUNTS):
        objective = _contest(model, kind, path)
        name = f"{path}, {kind}"
        if name not in known:
            known[name] = _optima(model, objective, kind, path)
            if asked.known:
                with written_whole(asked.known) as temporary:
                    temporary.write_text(json.dumps(known, indent=0), encoding="utf-8")
        for method in asked.by.split(","):
            plan = plan_of(method, objective, None, asked.budget)
            records = run_plan(objective, plan, Budget(forwards=asked.budget)).records
            gaps = [1 - record.activation / known[name][record.target] for record in records]
            found = statistics.share(sum(gap < ROUNDING for gap in gaps), len(gaps))
            spent = np.median([record.forwards + record.backwards for record in records])
            print(f"{name}: {method} finds {found.value:.1%} [{found.low:.1%}, {found.high:.1%}] of {len(gaps)} optima", end="")
            print(
                f"; widest gap {max(gaps):.2%}; {spent:,.0f} f.e., {np.mean([record.seconds for record in records]):.2f} s a neuron",
                flush=True,
            )


def _contest(model: Imaginet, kind: str, path: str) -> Objective:
    if kind == "two words":
        return Objective(model, neurons(model, path, COUNTS[path]), 2)
    few = np.sort(np.random.default_rng(0).choice(Objective(model, neurons(model, path, 1), 3).lexicon.numpy(), WORDS, replace=False))
    return Objective(model, neurons(model, path, 100), 3, words=few)


def _optima(model: Imaginet, objective: Objective, kind: str, path: str) -> dict[str, float]:
    """The activation of each target's optimum."""
    if kind == "few words":
        texts = np.array(list(itertools.product(objective.lexicon.tolist(), repeat=objective.length)))
        best = [float(found.activation[0]) for found in search(objective, Corpus("every text", texts)).found if found]
    else:
        best = objective.score(best_pairs(model, objective, path)).activation.amax(1).tolist()
    return {str(target): value for target, value in zip(objective.targets, best, strict=True)}


@torch.no_grad()
def best_pairs(model: Imaginet, objective: Objective, path: str) -> Tensor:
    """The best texts [k KEPT 2] of two words for every target; the gates of a GRU are products of the first word's state alone."""
    words, site, width = objective.lexicon, f"{path}.hidden", model.sizes.hidden
    weight, recurrent, bias, recurrent_bias = model.gru(path).all_weights[0]
    inputs = torch.nn.functional.linear(model.embedding[words], weight, bias)
    reset, update, new = (part.contiguous() for part in inputs.split(width, 1))
    first = model.read(model.embedding[words][:, None], [site])[site][:, 0]
    gates = torch.nn.functional.linear(first, recurrent, recurrent_bias)
    head = model.projection(path)
    units = [target.terms[0].readout.index for target in objective.targets]  # pyright: ignore[reportAttributeAccessIssue]
    rows, offsets = head.weight[units].T.contiguous(), head.bias[units]
    best, pairs = torch.full((len(units), KEPT), -torch.inf), torch.zeros(len(units), KEPT, dtype=torch.int64)
    for number, (state, gate) in enumerate(zip(first, gates, strict=True)):
        keep = torch.sigmoid(update + gate[width : 2 * width])
        candidate = torch.tanh(torch.addcmul(new, torch.sigmoid(reset + gate[:width]), gate[2 * width :]))
        top = torch.addmm(offsets, torch.lerp(candidate, state.expand_as(candidate), keep), rows).max(0)
        if bool((top.values > best[:, -1]).any()):  # of each first word its best second one: enough for the best pair
            order = torch.cat([best, top.values[:, None]], 1).sort(1, descending=True)
            best, pairs = (
                order.values[:, :KEPT],
                torch.cat([pairs, (number * len(words) + top.indices)[:, None]], 1).gather(1, order.indices[:, :KEPT]),
            )
    return torch.stack([words[pairs // len(words)], words[pairs % len(words)]], dim=2)


if __name__ == "__main__":
    main()
