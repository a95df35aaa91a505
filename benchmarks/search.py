"""Search methods at equal budgets: what each finds, against corpus search and against the best that is known.

    python benchmarks/search.py run OUT --corpus FILE [--corpus FILE ...] [--model imaginet] [--by auto,gbl,...] [--budgets 1000,10000]
                                        [--sites language,visual] [--most 40] [--seeds 1] [--long auto@300000]
    python benchmarks/search.py show OUT [--plot FILE.svg] [--optimality] [--by ...]
    python benchmarks/search.py rescore KNOWN.json [--model imaginet]

`run` keeps records in OUT, a file for each method, budget and seed; started again, it does only what is missing. Neurons
of Imaginet are those of `benchmarks/methods.py`, with `--placebo` those of a model with random directions for neurons; of other
models `--most` units of each site, drawn with a fixed seed, their maximum over the text, whose texts must survive being
written out. `--long` are further runs that serve only to know better texts: the best of all runs of a neuron is its best known.
`show` prints tables made of the records alone, and writes OUT/known.json, the best known texts; `rescore` has the judge
score those texts anew. Corpus search is done once for all; its cost is not part of a method's budget, and is printed.
"""

import argparse
import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch

from methods import LANGUAGE, neurons
from optigram.errors import InputError
from optigram.methods.combinators import HANDOVER
from optigram.models.base import Model
from optigram.models.loading import load
from optigram.models.placebo import placebo
from optigram.objective.objective import Objective
from optigram.optimize.search import Budget, SearchResult, TargetResult
from optigram.runs.find import run_plan
from optigram.runs.plan import Sentences, corpus_search, plan_of
from optigram.runs.records import Record, read, write
from optigram.study import statistics
from optigram.targets.target import resolve
from optigram.text.formats import sentences
from optigram.text.vocabulary import known_ids
from standing import Known, best_known, plot, tables

BASELINE = "crp"
EVERY = "auto,coordinate,beam,gcg,genetic,random,gbl,sgbl,gbl+coordinate,sgbl+coordinate,smx,emb,pez,straight,pgd,gbda"


def main() -> None:
    """Run one of the three commands."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = options.add_subparsers(required=True)
    running = commands.add_parser("run")
    running.set_defaults(command=run)
    running.add_argument("out", type=Path)
    running.add_argument("--corpus", action="append", required=True)
    running.add_argument("--by", default=EVERY)
    running.add_argument("--budgets", default="1000,3000,10000")
    running.add_argument("--long", default="")
    running.add_argument("--sites", default="language,visual")
    running.add_argument("--most", type=int, default=LANGUAGE)
    running.add_argument("--length", type=int, default=5)
    running.add_argument("--sentences", type=int, default=1 << 30, help="of each corpus, at the most")
    running.add_argument("--seeds", type=int, default=1)
    running.add_argument("--threads", type=int, default=1)
    running.add_argument("--placebo", action="store_true")
    showing = commands.add_parser("show")
    showing.set_defaults(command=show)
    showing.add_argument("out", type=Path)
    showing.add_argument("--plot", type=Path)
    showing.add_argument("--optimality", action="store_true", help="try every word in every place of the texts of the largest budget")
    again = commands.add_parser("rescore")
    again.set_defaults(command=rescore)
    again.add_argument("known", type=Path)
    for command in (running, showing, again):
        command.add_argument("--model", default="imaginet")
    asked = options.parse_args()
    asked.command(asked)


def run(asked: argparse.Namespace) -> None:
    """Search by every method, at every budget, from every seed."""
    torch.set_num_threads(asked.threads)
    model = placebo(load(asked.model), "directions") if asked.placebo else load(asked.model)
    texts = [one.text for file in asked.corpus for one, _ in zip(sentences(file), range(asked.sentences), strict=False)]
    corpus = Sentences(" + ".join(Path(file).name for file in asked.corpus), texts)
    asked.out.mkdir(parents=True, exist_ok=True)
    judge = objective_of(model, asked.sites.split(","), asked.most, asked.length)
    searched = corpus_search(judge, corpus)
    baseline = asked.out / f"{BASELINE}.parquet"
    if not baseline.exists():
        write(run_plan(judge, plan_of(BASELINE, judge, searched, None), Budget(), top=HANDOVER).records, baseline)
    known = outcome_of(read(baseline), judge)
    for name, budget, seed, file in _missing(asked):
        plan = plan_of(name, judge, searched, budget)
        found = run_plan(judge, plan, Budget(forwards=budget), seed, arm=f"{budget:.0f}", known=known)
        write(found.records, file)
        print(f"{name} at {budget:,.0f} (seed {seed}) done", flush=True)


def _missing(asked: argparse.Namespace) -> Iterator[tuple[str, float, int, Path]]:
    """(method, budget, seed, file) of every search that is not done, the small budgets first."""
    wanted = [(name, float(budget)) for budget in asked.budgets.split(",") for name in asked.by.split(",")]
    wanted += [(name, float(budget)) for name, _, budget in (long.partition("@") for long in asked.long.split(",") if long)]
    for name, budget in wanted:
        for seed in range(asked.seeds):
            file = asked.out / f"{name.replace(':', '-').replace('/', '-')}.{budget:.0f}.{seed}.parquet"
            if not file.exists():
                yield name, budget, seed, file


def objective_of(model: Model, sites: Sequence[str], most: int, length: int) -> Objective:
    """The judge of the neurons of some sites."""
    if set(sites) <= {"language", "visual"}:
        return Objective(model, [target for site in sites for target in neurons(model, site, most)], length)
    rng = np.random.default_rng(0)
    units = {site: sorted(rng.choice(model.sites[site].width, most, replace=False).tolist()) for site in sites}
    targets = resolve([f"{site}:{','.join(map(str, drawn))}@max" for site, drawn in units.items()], model)
    return Objective(model, targets, length, must_survive=True)


def outcome_of(records: Sequence[Record], judge: Objective) -> SearchResult:
    """What a corpus search found, from its records."""
    free = [place for place, id_ in enumerate(judge.template.fill([-1] * judge.length)) if id_ == -1]
    texts = statistics.grouped(records, lambda record: record.target)
    found: list[TargetResult | None] = []
    for target in map(str, judge.targets):
        ids = torch.tensor([[record.ids[place] for place in free] for record in texts[target]])
        values = torch.tensor([record.activation for record in texts[target]])
        found.append(TargetResult(ids, values, texts[target][0].forwards, 0.0, texts[target][0].seconds, {}, 0, []))
    return SearchResult(found)


def show(asked: argparse.Namespace) -> None:
    """Print the tables, and write the best known texts."""
    records = [record for file in sorted(asked.out.glob("*.parquet")) for record in read(file)]
    if not records:
        raise InputError(f"{asked.out} holds no records; begin with: python benchmarks/search.py run")
    known = best_known(records)
    (asked.out / "known.json").write_text(json.dumps(known, ensure_ascii=False, indent=0, sort_keys=True) + "\n", encoding="utf-8")
    print("\n\n".join(tables(records, known)))
    if asked.optimality:
        print("\n" + "\n".join(optimality(load(asked.model), records)))
    if asked.plot:
        plot(records, known, asked.plot)


def optimality(model: Model, records: Sequence[Record]) -> Iterator[str]:
    """For each method, at its largest budget, the share of positions where some word of the lexicon would still be better."""
    yield "| method | positions that an exchange improves |\n|---|---|"
    largest = str(max(int(record.arm or 0) for record in records if record.arm))
    for method in dict.fromkeys(record.method for record in records if record.arm == largest):
        improved = [share for record in records if (record.method, record.arm) == (method, largest) for share in _improvable(model, record)]
        yield f"| {method} | {np.mean(improved):.1%} of {len(improved)} |"


def _improvable(model: Model, record: Record) -> list[bool]:
    from optigram.runs.ablation import with_others

    text = torch.tensor([known_ids(record.text, model.vocabulary)])
    judge = Objective(model, resolve([record.target], model), text.shape[1])
    others, _ = with_others(judge, text, 1, len(judge.lexicon))
    return [best[0][1] > record.activation + 1e-4 for best in others[0]]


def rescore(asked: argparse.Namespace) -> None:
    """Score the best known texts by the judge; print the largest difference, and fail if it is more than rounding."""
    model, worst = load(asked.model), 0.0
    known: Known = json.loads(asked.known.read_text(encoding="utf-8"))
    for target, (text, activation) in known.items():
        ids = torch.tensor([[known_ids(text, model.vocabulary)]])
        judge = Objective(model, resolve([target], model), ids.shape[2])
        worst = max(worst, abs(float(judge.score(ids).activation) - activation))
    print(f"{len(known)} texts, largest difference {worst:.2g}")
    if not math.isfinite(worst) or worst > 1e-3:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
