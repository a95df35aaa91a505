"""Search methods at equal budgets: what each finds, against corpus search and against the best that is known.

    python benchmarks/search.py --corpus FILE [--corpus FILE ...] [--model imaginet] [--by auto,gbl,...] [--budgets 1000,10000]
                                [--sites language,visual] [--most 40] [--known FILE]

Neurons: of Imaginet those of `benchmarks/methods.py`; of other models `--most` units of each site, drawn with a fixed seed, their
maximum over the text. `--known` is a JSON file {target: [text, activation]} of the best texts ever found, which is read,
judged again, and written back with what was better. Every row is computed from the judge's scores. Corpus search is
done once for all; its cost is not part of a method's budget, and is printed.
"""

import argparse
import dataclasses
import json
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from methods import LANGUAGE, neurons
from optigram.corpora import sentences
from optigram.loop import Budget
from optigram.models.loading import load
from optigram.objective import Objective
from optigram.study import statistics
from optigram.study.find import find
from optigram.study.plans import Sentences
from optigram.study.records import Record
from optigram.targets import Target, resolve

BASELINE = "crp"
Known = dict[str, tuple[str, float]]


def main() -> None:
    """Print one table a site."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--corpus", action="append", required=True)
    options.add_argument("--model", default="imaginet")
    options.add_argument("--by", default="auto,coordinate,gbl+coordinate,gbl,smx,emb,gcg,genetic,pez,straight,pgd,gbda,random")
    options.add_argument("--budgets", default="1000,10000")
    options.add_argument("--sites", default="language,visual")
    options.add_argument("--most", type=int, default=LANGUAGE)
    options.add_argument("--length", type=int, default=5)
    options.add_argument("--sentences", type=int, default=1 << 30, help="of each corpus, at the most")
    options.add_argument("--seeds", type=int, default=1)
    options.add_argument("--known", type=Path)
    options.add_argument("--threads", type=int, default=1)
    asked = options.parse_args()
    torch.set_num_threads(asked.threads)
    model = load(asked.model)
    texts = [one.text for file in asked.corpus for one, _ in zip(sentences(file), range(asked.sentences), strict=False)]
    known: Known = json.loads(asked.known.read_text(encoding="utf-8")) if asked.known and asked.known.exists() else {}
    for site in asked.sites.split(","):
        objective = Objective(model, _targets(model, site, asked.most), asked.length)
        records: list[Record] = []
        for budget in map(float, asked.budgets.split(",")):
            for seed in range(asked.seeds):
                first = [BASELINE] if not records else []
                names = [*first, *asked.by.split(",")]
                for one in find(objective, names, Sentences(" + ".join(asked.corpus), texts), Budget(forwards=budget), seed):
                    named = one.method if one.method == BASELINE else f"{one.method} @{budget:,.0f}"
                    records += [dataclasses.replace(record, method=named) for record in one.records]
                    print(f"{site}: {named} (seed {seed}) done", flush=True)
        _remember(known, records)
        show(site, records, known)
    if asked.known:
        asked.known.write_text(json.dumps(known, ensure_ascii=False, indent=0, sort_keys=True) + "\n", encoding="utf-8")


def show(site: str, records: Sequence[Record], known: Known) -> None:
    """The rows of a site: median ratio to corpus search, win rate, share of the best known, cost and time."""
    base = statistics.activations(records, BASELINE)
    print(f"\n{site}: {len(base)} neurons; corpus search {records[0].forwards:,.0f} f.e., once for all")
    print(f"{'method':32}{'median / crp':>24}{'beats crp':>26}{'/ best known':>14}{'median f.e.':>12}{'s a neuron':>12}")
    for method in dict.fromkeys(record.method for record in records):
        rows = [record for record in records if record.method == method]
        ratios = [row.activation / base[row.target] for row in rows if base[row.target] > 0]
        won = statistics.share(sum(row.activation > base[row.target] for row in rows), len(rows))
        middle = statistics.median(ratios)
        best = np.median([row.activation / known[row.target][1] for row in rows])
        print(
            f"{method:32}{f'{middle.value:.3f} [{middle.low:.3f}, {middle.high:.3f}]':>24}"
            f"{f'{won.value:.1%} [{won.low:.0%}, {won.high:.0%}]':>26}{best:14.3f}"
            f"{np.median([row.forwards + row.backwards for row in rows]):12,.0f}{np.mean([row.seconds for row in rows]):12.2f}",
            flush=True,
        )


def _remember(known: Known, records: Sequence[Record]) -> None:
    for record in records:
        if record.activation > known.get(record.target, ("", -math.inf))[1]:
            known[record.target] = (record.text, record.activation)


def _targets(model, site: str, most: int) -> Sequence[Target]:
    if site in ("language", "visual"):
        return neurons(model, site, most)
    units = np.random.default_rng(0).choice(model.sites[site].width, most, replace=False)
    return resolve([f"{site}:{','.join(map(str, sorted(units.tolist())))}@max"], model.sites)


if __name__ == "__main__":
    main()
