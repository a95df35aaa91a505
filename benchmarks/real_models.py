"""Models with real weights: how much stopping early saves, what corpus search and other methods find, and who wins.

python benchmarks/real_models.py MODEL [--corpus FILE] [--targets 20] [--budget 300] [--by gbl,auto] [--sentences 150]

MODEL is a folder, a Hub id or a GGUF file. Ratios are measured side by side: the two forwards by turns, in one process.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch

from optigram import Budget, Objective, load, resolve, sentences
from optigram.models.network import Network, ordinary_ids
from optigram.objective.forward import read_whole
from optigram.runs.find import find
from optigram.runs.plan import Sentences
from optigram.text.formats import ngrams
from optigram.text.lexicon import lexicon
from scan import small_gpt2

LENGTH, CHAINS, CANDIDATES = 5, 4, 64
SHAPE = 32, 8  # texts and tokens of a forward that is timed
TURNS = 7


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--corpus", help="sentences to search; without one only the speed is measured")
    parser.add_argument("--targets", type=int, default=20)
    parser.add_argument("--budget", type=float, default=300, help="forward-equivalents of a method for each target")
    parser.add_argument("--by", default="gbl", help="methods that are held against corpus search")
    parser.add_argument("--sentences", type=int, default=150)
    parser.add_argument("--prefixes", type=int, default=0, help="sentences whose n-grams are read whole and by prefix, side by side")
    parser.add_argument("--sites", help="where they are read; default: at the end of the first third of the blocks")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    model = load(asked.model) if asked.model != "small-gpt2" else small_gpt2()
    assert isinstance(model, Network)
    layers = 1 + max(int(site.rpartition(".")[2]) for site in model.sites.canonical)
    site = f"mlp_act.{layers // 3 - 1}"  # the last of the first third of the blocks
    stopping(model, site)
    if asked.corpus and asked.prefixes:
        texts = [one.text for one, _ in zip(sentences(asked.corpus), range(asked.prefixes), strict=False)]
        for one in asked.sites.split(",") if asked.sites else [site]:
            shared_prefixes(model, one, texts, asked.targets)
    if asked.corpus and asked.budget:
        corpus = Sentences(asked.corpus, [s.text for s, _ in zip(sentences(asked.corpus), range(asked.sentences), strict=False)])
        for kind in (site, *(("logits",) if "logits" in model.sites else ())):
            contest(model, kind, corpus, asked.targets, asked.budget, asked.by.split(","))


def stopping(model: Network, site: str) -> None:
    """Time the forward that stops at `site`, the one to the source of the logits, and the whole one."""
    embeds = model.embedding[ordinary_ids(model.vocabulary, SHAPE, seed=0).to(model.embedding.device)]
    runs: dict[str, Callable[[], object]] = {f"stopped at {site}": lambda: model.read(embeds, [site])}
    logits = model.sites["logits"].linear if "logits" in model.sites else None
    if logits is not None:
        runs["without the vocabulary"] = lambda: model.read(embeds, [logits.source])
    runs["whole"] = lambda: model.inputs.take_embeds(embeds.to(model.dtype))
    times: dict[str, list[float]] = {name: [] for name in runs}
    with torch.no_grad():
        for turn in range(TURNS + 1):
            for name, run in runs.items():
                begun = time.perf_counter()
                run()
                times[name] += [time.perf_counter() - begun] if turn else []  # the first turn warms up
    whole = statistics.median(times["whole"])
    for name, taken in times.items():
        middle = statistics.median(taken)
        print(f"{name:24s} {1000 * middle:8.1f} ms   {whole / middle:5.2f} times as fast as the whole forward")


def shared_prefixes(model: Network, site: str, texts: list[str], count: int) -> None:
    """Corpus search, and exchanges of one word at each position, read by prefix against read whole: the two by turns, the faster of two."""
    objective = Objective(model, resolve([f"{site}:0-{count - 1}"], model), LENGTH)
    every = torch.from_numpy(ngrams(texts, model.vocabulary, LENGTH, objective.lexicon.numpy()))
    tried = {f"{len(every):,} unique {LENGTH}-grams": every}
    draw = torch.Generator().manual_seed(0)
    for place in range(LENGTH):
        exchanged = every[torch.randint(len(every), (CHAINS,), generator=draw)].repeat_interleave(CANDIDATES, 0)
        exchanged[:, place] = objective.lexicon[torch.randint(len(objective.lexicon), (len(exchanged),), generator=draw)]
        tried[f"{CHAINS} x {CANDIDATES} exchanges at {place}"] = exchanged
    for name, ids in tried.items():
        one = objective.subset(range(count))
        inputs = torch.tensor([one.template.fill(text) for text in ids.tolist()])[None]
        shared, whole = one.score(ids[None]).activation, float("inf")
        cells = ids.shape[0] / float(one.cost.spent[0])
        by_prefix, difference = float("inf"), float("nan")
        for _ in range(2):
            begun = time.process_time()
            with torch.no_grad():
                plain = torch.cat([read_whole(model, inputs, [part]) for part in one._groups])
            middle = time.process_time()
            one.score(ids[None])
            whole, by_prefix = min(whole, middle - begun), min(by_prefix, time.process_time() - middle)
            difference = float((plain - shared).abs().max())
        print(
            f"{site} {name:28s} whole / by prefix: cells {cells:5.2f}, time {whole / by_prefix:5.2f}; differ by {difference:.0e}",
            flush=True,
        )


def contest(model: Network, site: str, corpus: Sentences, count: int, budget: float, by: list[str]) -> None:
    """Corpus search and other methods on units drawn at random, neurons at their maximum over the text."""
    allowed, rng = lexicon(model.vocabulary), np.random.default_rng(0)
    units = rng.choice(allowed if site == "logits" else model.sites[site].width, count, replace=False)
    pool = "" if site == "logits" else "@max"
    targets = resolve([f"{site}:{unit}{pool}" for unit in units], model)
    objective = Objective(model, targets, 5, words=allowed, must_survive=True)
    best: dict[str, dict[str, float]] = {}
    for one in find(objective, ["crp", *by], corpus, Budget(forwards=budget)):
        found = best[one.method] = {record.target: record.activation for record in one.records}
        cost = statistics.mean(record.forwards + record.backwards for record in one.records)
        survive = sum(record.survives for record in one.records)
        seconds = statistics.mean(record.seconds for record in one.records)
        middle = statistics.median(found.values())
        print(
            f"{site} {one.method}: median {middle:.3f}, {cost:.0f} f.e. and {seconds:.1f} s a target, {survive} of {len(found)} survive",
            end="",
        )
        pairs = [(found[target], best["crp"][target]) for target in found if target in best["crp"]]
        ratios = [ours / theirs for ours, theirs in pairs if theirs > 0] or [float("nan")]
        won = sum(ours > theirs for ours, theirs in pairs)
        print(f"; to crp: median ratio {statistics.median(ratios):.2f} of {len(ratios)}, wins {won} of {len(pairs)}", flush=True)


if __name__ == "__main__":
    main()
