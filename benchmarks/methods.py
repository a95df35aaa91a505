"""The five methods on many neurons of the bundled model, against corpus search over a corpus of yours.

    python benchmarks/methods.py --corpus captions_val2017.json [--budget 5000] [--sites language,visual] [--by gbl,...]

Neurons: 160 language ones, drawn with seed 0 among the 1,000 most frequent words, and all visual ones. Printed are the
median ratio to corpus search, the share of neurons on which a method beats it, forward-equivalents and seconds a neuron.
"""

import argparse
import time

import numpy as np
import torch

from optigram.models.loading import load
from optigram.objective.objective import Objective
from optigram.optimize.search import Budget
from optigram.runs.corpus import sentences_for
from optigram.runs.find import find
from optigram.targets.build import neuron
from optigram.targets.target import Target

FREQUENT, LANGUAGE = 1000, 160


def neurons(model, site: str, most: int) -> list[Target]:
    """The neurons of one path."""
    names = model.sites[site].names or [None] * model.sites[site].width
    special = len(model.vocabulary.special)
    drawn = np.random.default_rng(0).choice(FREQUENT, LANGUAGE, replace=False) + special
    indices = drawn.tolist() if site == "language" else range(len(names))
    return [neuron(site, i) for i in indices][:most]


def main() -> None:
    """Print one row a method and path."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--corpus")
    options.add_argument("--model", default="imaginet")
    options.add_argument("--budget", type=float, default=5000)
    options.add_argument("--sites", default="language,visual")
    options.add_argument("--by", default="emb,logit,smx,gbl")
    options.add_argument("--most", type=int, default=LANGUAGE, help="neurons of a path")
    options.add_argument("--threads", type=int, default=torch.get_num_threads())
    chosen = options.parse_args()
    torch.set_num_threads(chosen.threads)
    model = load(chosen.model)
    corpus = sentences_for(model, chosen.corpus)
    print(f"corpus: {corpus.name}; {chosen.budget:,.0f} forward-equivalents a neuron; {chosen.threads} threads")
    print(f"{'path':9}{'method':8}{'neurons':>8}{'mean':>8}{'median / crp':>14}{'beats crp':>11}{'f.e.':>9}{'s':>7}{'cosine':>8}")
    for site in chosen.sites.split(","):
        objective = Objective(model, neurons(model, site, chosen.most), length=5)
        baseline, begun = None, time.perf_counter()
        for one in find(objective, ["crp", *chosen.by.split(",")], corpus, Budget(forwards=chosen.budget)):
            seconds, begun = time.perf_counter() - begun, time.perf_counter()
            found = np.array([record.activation for record in one.records])
            baseline = found if baseline is None else baseline
            spent = np.mean([record.forwards + record.backwards for record in one.records])
            cosines = [record.notes["cosine"] for record in one.records if "cosine" in record.notes]
            cosine = f"{np.mean(cosines):8.2f}" if cosines else ""
            print(
                f"{site:9}{one.method:8}{len(found):8}{found.mean():8.2f}{np.median(found / baseline):14.4f}"
                f"{(found > baseline).mean():11.1%}{spent:9,.0f}{seconds / len(found):7.2f}{cosine}",
                flush=True,
            )


if __name__ == "__main__":
    main()
