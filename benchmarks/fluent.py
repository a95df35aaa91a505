"""Fluent texts: what searches find within a bound on surprisal, against the best n-grams of a corpus within the same bound.

    python benchmarks/fluent.py MODEL --corpus FILE [--corpus FILE ...] [--sampled 14531] [--site mlp_act.2] [--targets 40]
                                [--most 6] [--budget 1000] [--by coordinate,epo] [--cache DIR] [--out FILE]

Neurons are drawn with a fixed seed, and read at their maximum over the text. All n-grams are judged once, in bfloat16; for
each neuron, from its best down, they are judged again in float32, and their surprisal is looked at until 16 are within the
bound: the first is what corpus search has to offer, and from all the searches begin. A search is in bfloat16 too, its cost is
in forward-equivalents (a text is 1, its surprisal another), and its last word is float32's. `--out` is a file of JSON lines with
every text, its ids and scores; with `--cache` the activations of the corpus are kept and not computed again.
"""

import argparse
import gzip
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from optigram.methods import method_named
from optigram.models.base import Model
from optigram.models.loading import CAPTIONS, bundled, load
from optigram.objective.fluency import Fluency
from optigram.objective.objective import Objective
from optigram.optimize.rescore import SEARCHED
from optigram.optimize.search import Budget, search
from optigram.runs.plan import HEAVY_BLOCK
from optigram.study import statistics
from optigram.targets.target import Target, resolve
from optigram.text.formats import ngrams, sentences
from optigram.text.lexicon import lexicon

CHUNK, SCREENED, HEARD, STARTS, KEPT, LENGTH = 1 << 14, 256, 32, 16, 8, 5
WITHIN, ANY = "crp", "crp, any surprisal"


@dataclass(frozen=True)
class Row:
    """The best text of one method for one neuron."""

    target: str
    method: str
    text: str
    ids: Sequence[int]
    activation: float
    surprisal: float | None
    forwards: float
    seconds: float


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("model")
    options.add_argument("--corpus", action="append", required=True)
    options.add_argument("--sampled", type=int, default=0, help="sentences of the bundled model's beside them")
    options.add_argument("--site", default="mlp_act.2")
    options.add_argument("--targets", type=int, default=40)
    options.add_argument("--most", type=float, default=6.0, help="nats per token")
    options.add_argument("--budget", type=float, default=1000)
    options.add_argument("--by", default="coordinate,epo")
    options.add_argument("--cache", type=Path)
    options.add_argument("--out", type=Path)
    options.add_argument("--minutes", type=float, default=float("inf"), help="begin no neuron after so many")
    asked = options.parse_args()
    torch.set_num_threads(1)
    begun, exact, half = time.perf_counter(), load(asked.model), load(asked.model, "cpu", "bfloat16")
    units = np.random.default_rng(0).choice(exact.sites[asked.site].width, asked.targets, replace=False)
    targets = resolve([f"{asked.site}:{','.join(map(str, sorted(units.tolist())))}@max"], exact.sites, exact.vocabulary)
    grams, activation = corpus(asked, half, targets)
    rows: list[Row] = []
    for number in np.random.default_rng(1).permutation(len(targets)):
        if time.perf_counter() - begun > 60 * asked.minutes:
            break
        judge = Objective(exact, [targets[number]], LENGTH, fluency=Fluency(band=(0, asked.most)), must_survive=True)
        found = of_corpus(judge, grams, activation[number])
        start = torch.tensor([[row.ids for row in found[1:]]])
        fast = Objective(half, judge.targets, LENGTH, fluency=judge.fluency, must_survive=True, exact=lambda: exact)
        rows += [*found[:2], *(searched(fast, name, asked.budget, start) for name in asked.by.split(","))]
        if asked.out:
            asked.out.write_text("".join(json.dumps(vars(row), ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
        show(rows)


def corpus(asked: argparse.Namespace, model: Model, targets: Sequence[Target]) -> tuple[np.ndarray, np.ndarray]:
    """All unique n-grams [c t], and what they are worth to each target [k c]."""
    files = [asked.cache / name for name in ("grams.npy", "activation.npy")] if asked.cache else []
    if files and files[1].exists():
        return np.load(files[0]), np.load(files[1])
    allowed, texts = lexicon(model.vocabulary), [one.text for file in asked.corpus for one in sentences(file)]
    with gzip.open(bundled() / CAPTIONS, "rt", encoding="utf-8") as lines:
        texts += [line.strip() for line, _ in zip(lines, range(asked.sampled), strict=False)]
    grams = ngrams(texts, model.vocabulary, LENGTH, allowed)
    print(f"{len(texts):,} sentences, {len(grams):,} different {LENGTH}-grams", flush=True)
    judge = Objective(model, targets, LENGTH)
    activation = np.concatenate([judge.score(part[None]).activation.numpy() for part in torch.from_numpy(grams).split(CHUNK)], axis=1)
    for file, table in zip(files, (grams, activation), strict=False):
        np.save(file, table)
    return grams, activation


def of_corpus(judge: Objective, grams: np.ndarray, activation: np.ndarray) -> list[Row]:
    """The best of all n-grams, then the best within the bound, all judged exactly; their surprisal only until there are enough."""
    free = Objective(judge.model, judge.targets, LENGTH, must_survive=True)
    order, rows, begun = np.argsort(-activation), list[Row](), time.perf_counter()
    for first in range(0, len(order), SCREENED):
        texts = torch.from_numpy(grams[order[first : first + SCREENED]])
        value = free.score(texts[None]).value[0]
        best = value.argsort(descending=True)
        if not rows:
            rows.append(row_of(judge, ANY, texts[best[0]], float(value[best[0]]), None, 0.0, begun))
        for block in best[~value[best].isneginf()].split(HEARD):
            scores = judge.score(texts[None, block])
            assert scores.surprisal is not None
            rows += [
                row_of(judge, WITHIN, text, float(value), float(nats), 0.0, begun)
                for text, value, nats in zip(texts[block], scores.value[0], scores.surprisal[0], strict=True)
                if value > -torch.inf
            ]
            if len(rows) > STARTS:
                return rows[: 1 + STARTS]
    return rows


def searched(judge: Objective, name: str, budget: float, start: Tensor) -> Row:
    """The best text of a search from the best of the corpus."""
    method, begun = method_named(name, budget / judge.passes, True, HEAVY_BLOCK), time.perf_counter()
    found = search(judge, method, Budget(forwards=budget), n=KEPT, start=start).found[0]
    assert found is not None
    assert found.surprisal is not None
    assert SEARCHED in found.remarks
    cost = found.forwards + found.backwards
    return row_of(judge, name, found.ids[0], float(found.activation[0]), float(found.surprisal[0]), cost, begun)


def row_of(judge: Objective, method: str, ids: Tensor, activation: float, surprisal: float | None, cost: float, begun: float) -> Row:
    free = ids.tolist()
    taken = time.perf_counter() - begun
    return Row(str(judge.targets[0]), method, judge.model.vocabulary.decode(free), free, activation, surprisal, cost, taken)


def show(rows: Sequence[Row]) -> None:
    """Of each method: how often it beats the corpus within the bound, and without one; the median ratio; what it cost."""
    best: dict[str, dict[str, Row]] = {}
    for row in rows:
        best.setdefault(row.method, {})[row.target] = row
    for method, found in best.items():
        if method not in (WITHIN, ANY):
            print(
                f"{method:12} {len(found)} neurons", *(against(found, best[base], base) for base in (WITHIN, ANY)), *cost(found), sep="; "
            )


def against(found: dict[str, Row], base: dict[str, Row], name: str) -> str:
    won = statistics.share(sum(row.activation > base[target].activation for target, row in found.items()), len(found))
    ratios = [row.activation / base[target].activation for target, row in found.items() if base[target].activation > 0]
    return f"beats {name} {won.value:.1%} [{won.low:.0%}, {won.high:.0%}], median ratio {np.median(ratios):.2f}"


def cost(found: dict[str, Row]) -> Iterator[str]:
    yield f"{np.median([row.forwards for row in found.values()]):,.0f} f.e."
    yield f"{np.mean([row.seconds for row in found.values()]):.0f} s"
    yield f"median {np.median([row.surprisal for row in found.values() if row.surprisal is not None]):.2f} nats"


if __name__ == "__main__":
    main()
