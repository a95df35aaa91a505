"""What a gradient tells of words, by where it is taken: why gumbel softmax over a whole vocabulary fails on a transformer.

    python benchmarks/slopes.py [--model imaginet] [--sites language,visual] [--most 8] [--words 300]

In random texts one position gets each of `--words` random words, and the judge scores them all. Beside that stands what a gradient
says of the same words. Printed is the median over neurons and texts of the rank correlation of both, and in how many texts the best
of these words is among the tenth that the gradient likes best, for gradients taken

    text      at the text itself, as HotFlip and GCG do
    blend     where an even mixture of 8 random words stands at the position, the others as they are
    texts     at 8 random texts, averaged: what a shortlist is made of
    flat      where the even mixture of all words stands at every position: the start of softmax
    gumbel    at 8 mixtures of all words by gumbel noise at temperature 3, at every position, averaged: the start of gbl
    long      at those mixtures, brought to the length of a word

and the length of such mixtures, as a share of the length of a word's embedding.
"""

import argparse

import numpy as np
import torch
from scipy import stats
from torch import Tensor

from optigram.models.loading import load
from optigram.objective.objective import Objective
from optigram.objective.rng import Streams
from optigram.objective.scores import SoftText
from search import objective_of

MIXED, HOTTEST, TENTH = 8, 3.0, 10


def main() -> None:
    """Print a line for each place where a gradient is taken."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--model", default="imaginet")
    options.add_argument("--sites", default="language,visual")
    options.add_argument("--most", type=int, default=8, help="neurons of a site")
    options.add_argument("--words", type=int, default=300)
    asked = options.parse_args()
    torch.set_num_threads(1)
    model = load(asked.model)
    for site in asked.sites.split(","):
        objective = objective_of(model, [site], asked.most, 5)
        streams = Streams(0, [str(target) for target in objective.targets], 1, objective.device)
        ranks: dict[str, list[float]] = {}
        hits: dict[str, list[bool]] = {}
        for place in range(objective.length):
            _compare(objective, streams, place, asked.words, ranks, hits)
        for where, values in ranks.items():
            told = f"rank correlation {np.median(values):6.3f}; best among the liked tenth {np.mean(hits[where]):4.0%}"
            print(f"{site:12} {where:8} {told}; length {_length(objective, where, streams):.2f}")


def _compare(objective: Objective, streams: Streams, place: int, count: int, ranks: dict, hits: dict) -> None:
    rows = streams.integers(len(objective.lexicon), objective.length)
    tried = streams.integers(len(objective.lexicon), count)[:, 0]  # [k w]
    texts = objective.lexicon[rows].repeat(1, count, 1)
    texts[:, :, place] = objective.lexicon[tried]
    exact = objective.score(texts).activation
    for where in ("text", "blend", "texts", "flat", "gumbel", "long"):
        embeds = _place(objective, streams, rows, place, where).requires_grad_()
        (slope,) = torch.autograd.grad(objective.relax(SoftText(embeds, None)).value.sum(), embeds)
        liked = (slope[:, :, place].mean(1) @ objective.table.T).gather(1, tried)
        for said, true in zip(liked.numpy(), exact.numpy(), strict=True):
            ranks.setdefault(where, []).append(float(stats.spearmanr(said, true)[0]))  # pyright: ignore[reportArgumentType]
            hits.setdefault(where, []).append(bool((said > said[true.argmax()]).sum() < count // TENTH))


def _place(objective: Objective, streams: Streams, rows: Tensor, place: int, where: str) -> Tensor:
    """Soft texts [k c t d] at which the gradient is taken."""
    table, v, t = objective.table, len(objective.lexicon), objective.length
    match where:
        case "text":
            return table[rows]
        case "blend":
            embeds = table[rows].clone()
            embeds[:, :, place] = table[streams.integers(v, MIXED)].mean(2)
            return embeds
        case "texts":
            return table[streams.integers(v, MIXED, t)][:, 0]
        case "flat":
            return table.mean(0).expand(len(rows), 1, t, -1).clone()
        case _:
            mixtures = (streams.gumbel(MIXED, t, v)[:, 0] / HOTTEST).softmax(-1) @ table
            return mixtures if where == "gumbel" else mixtures * table.norm(dim=-1).mean() / mixtures.norm(dim=-1, keepdim=True)


def _length(objective: Objective, where: str, streams: Streams) -> float:
    rows = streams.integers(len(objective.lexicon), objective.length)
    return float(_place(objective, streams, rows, 0, where)[:, :, 0].norm(dim=-1).mean() / objective.table.norm(dim=-1).mean())


if __name__ == "__main__":
    main()
