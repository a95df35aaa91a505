"""How well a gradient predicts the scores of words, by the soft or discrete text at which it is taken.

At one position of random texts each of some random words is scored exactly, and ranked by the gradient taken at: `text`, the text itself
(HotFlip, GCG); `blend`, an even mixture of 8 random words at that position (coordinate); `texts`, 8 random texts, averaged (a shortlist);
`flat`, the even mixture of all words everywhere (the start of smx); `gumbel`, mixtures by gumbel noise at temperature 3 (the start of gbl);
`long`, those mixtures scaled to the norm of a word's embedding.

`kept` tells what keeping the slopes of a text until it changes is worth.
"""

import contextlib
import time
from dataclasses import dataclass, field
from unittest import mock

import numpy as np
import torch
from benchmarks.quality.search import plain
from benchmarks.setup import Result, Settings, Unit, objective_of, open_model
from scipy import stats
from torch import Tensor

from optigram.methods import method_named
from optigram.methods.slopes import Slopes
from optigram.models.base import Model
from optigram.objective.objective import Objective
from optigram.objective.rng import Streams
from optigram.objective.scores import SoftText
from optigram.optimize.search import Budget, search
from optigram.study import statistics

PLACES = {
    "text": "the text (HotFlip, GCG)",
    "blend": "a blend of 8 random words at the position",
    "texts": "8 random texts, averaged (a shortlist)",
    "flat": "the mixture of all words everywhere (the start of smx)",
    "gumbel": "gumbel mixtures at temperature 3 (the start of gbl)",
    "long": "those mixtures, scaled to a word's norm",
}
MIXED, HOTTEST, TENTH = 8, 3.0, 10


@dataclass
class _Seen:
    """Of one kind of gradient: rank correlations with the scores, and whether the best word was in the best tenth."""

    ranks: list[float] = field(default_factory=list)
    hits: list[bool] = field(default_factory=list)


def setup(settings: Settings) -> tuple[Model, Settings]:
    """The model."""
    return open_model(settings.model), settings


def slopes(context: tuple[Model, Settings], unit: Unit, seed: int) -> list[Result]:
    """Rank correlation of gradient and score, and how often the best word is among the tenth that the gradient ranks highest."""
    model, settings = context
    objective = objective_of(model, unit["site"], settings.targets, settings.length)
    streams = Streams(seed, [target.key for target in objective.targets], 1, objective.device)
    seen = {where: _Seen() for where in PLACES}
    for place in range(settings.length):
        _compare(objective, streams, place, settings.option("words", 200), seen)
    cost = objective.cost.spent[0] / settings.length
    return [
        Result(
            {
                "correlation": float(np.median(one.ranks)),
                "hits": float(np.mean(one.hits)),
                "norm": _norm(objective, where, streams),
                "spent": float(cost),
            },
            settings={"gradient": PLACES[where]},
        )
        for where, one in seen.items()
    ]


def _compare(objective: Objective, streams: Streams, place: int, count: int, seen: dict[str, _Seen]) -> None:
    """Score words at one position of a random text of each target, and note what each gradient says of them."""
    rows = streams.integers(len(objective.lexicon), objective.length)
    tried = streams.integers(len(objective.lexicon), count)[:, 0]  # [k w]
    texts = objective.lexicon[rows].repeat(1, count, 1)
    texts[:, :, place] = objective.lexicon[tried]
    exact = objective.score(texts).activation
    for where, noted in seen.items():
        embeds = _soft_texts(objective, streams, rows, place, where).requires_grad_()
        (slope,) = torch.autograd.grad(objective.relax(SoftText(embeds, None)).value.sum(), embeds)
        predicted = (slope[:, :, place].mean(1) @ objective.table.T).gather(1, tried)
        for said, true in zip(predicted.numpy(), exact.numpy(), strict=True):
            noted.ranks.append(float(stats.spearmanr(said, true)[0]))  # pyright: ignore[reportArgumentType]
            noted.hits.append(bool((said > said[true.argmax()]).sum() < count // TENTH))


def _soft_texts(objective: Objective, streams: Streams, rows: Tensor, place: int, where: str) -> Tensor:
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


def _norm(objective: Objective, where: str, streams: Streams) -> float:
    """The norm of what stands at a position, as a share of the mean norm of a word's embedding."""
    rows = streams.integers(len(objective.lexicon), objective.length)
    return float(_soft_texts(objective, streams, rows, 0, where)[:, :, 0].norm(dim=-1).mean() / objective.table.norm(dim=-1).mean())


def kept(context: tuple[Model, Settings], unit: Unit, seed: int) -> list[Result]:
    """Coordinate ascent that keeps a text's slopes until the text changes, against one that takes them anew at each position."""
    model, settings = context
    values, seconds = {}, {}
    for keeps in (False, True):
        objective = objective_of(model, unit["site"], settings.targets, settings.length)
        method = method_named("coordinate", unit["budget"], objective.model.attends)
        anew = contextlib.nullcontext() if keeps else mock.patch.object(Slopes, "at", _taken_anew)
        begun = time.process_time()
        with anew:
            found = search(objective, method, Budget(forwards=unit["budget"]), seed=seed).found
        seconds[keeps] = time.process_time() - begun
        values[keeps] = np.array([float(one.activation[0]) for one in found if one is not None])
    ratios = values[True] / values[False]
    told = {"median": plain(statistics.Interval.median(ratios)), "mean": float(ratios.mean()), "time": seconds[True] / seconds[False]}
    return [Result(told | {"better": int((ratios > 1).sum()), "worse": int((ratios < 1).sum()), "neurons": len(ratios)})]


def _taken_anew(slopes: Slopes, texts: Tensor, place: int, blend: Tensor | None, changed: Tensor) -> Tensor:
    return slopes.objective.gradient(texts, [place], blend, beside=True)[:, :, 0]
