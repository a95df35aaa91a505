"""gbl: soft words are mixtures weighted by softmax((logits + gumbel noise) / temperature) (paper, section 4)."""

import functools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from optigram.methods.relaxations import MARGIN, Given, Rows, Start, Table, Theta
from optigram.methods.settings import check_settings
from optigram.objective.rng import Streams
from optigram.objective.scores import SoftText
from optigram.shapes import Float, Int

NEGLIGIBLE = 1e-30  # weights at low temperatures that count as 0: a product with denormal numbers takes twenty times as long
HEAVIEST = 64  # words whose largest weight is looked for at once
FEWEST = 1 << 20  # fresh numbers of a step from which it pays to ask whether few words have weight
SHARE = 0.1  # of all words: where fewer may have weight, reading the embeddings of those that do is faster than matrix products
SPAN = math.log(1e9)  # the noisy logit, over the temperature, by which a word falls behind the likeliest if it is left out then
LIKELIEST = 64  # words whose noisy logits bound the largest one from below
PIECE = 1 << 10  # words whose embeddings are multiplied at once: they stay in a processor's cache


@dataclass(frozen=True)
class Gumbel:
    """gbl: softmax((theta + gumbel noise) / temperature). The temperature starts at `hottest` and falls by the factor `cooling`
    per step down to `coldest`.

    `samples` noise samples per text and step. `floor` is added to the probabilities before their logarithm, as in the
    authors' code; None skips that detour over probabilities. `fresh` draws all noise anew. Besides the text of the
    largest logits, `draws` texts drawn from the softmax of theta are proposed. `straight` is straight-through: the model
    reads the word of the largest weight alone, with the gradient of the mixture (Jang et al. 2017).
    """

    hottest: float = 2.0
    cooling: float = 0.99995
    coldest: float = 0.1
    samples: int = 1
    floor: float | None = None
    fresh: bool = False
    draws: int = 0
    begin: Start = field(default_factory=Start)
    straight: bool = False

    mixes = True

    def __post_init__(self) -> None:
        check_settings(self, hottest=0.0, cooling=0.0, coldest=0.0, samples=1, draws=0)

    def start(self, streams: Streams, length: int, table: Table, given: Given = None) -> Theta:
        return self.begin.logits(streams, length, table.shape[-2], given, lead=math.log(table.shape[-2]) + MARGIN)

    def schedule(self, step: int) -> Mapping[str, float]:
        return {"temperature": self.temperature(step)}

    def temperature(self, step: int) -> float:
        """The temperature at a step, counted from 0."""
        return max(self.hottest * self.cooling**step, self.coldest)

    def soften(self, theta: Theta, table: Table, step: int, streams: Streams) -> SoftText:
        embeds, weights = _GumbelMixture.apply(theta, table, self, step, streams)  # pyright: ignore[reportGeneralTypeIssues]
        return SoftText(embeds.flatten(1, 2), weights.flatten(1, 2))

    def logits(self, theta: Theta) -> Float[Tensor, "k c t v"]:
        """The logits that noise is added to."""
        return theta if self.floor is None else (theta.softmax(dim=-1) + self.floor).log()

    def noisy(self, theta: Tensor, streams: Streams, change: Callable[[Tensor], object] = lambda noisy: None) -> Tensor:
        """Logits plus gumbel noise [k c samples t v], after what `change` does to them in place."""
        logits = self.logits(theta)
        if not self.fresh:
            return streams.plus_gumbel(logits, self.samples, change)
        noisy = logits[:, :, None] + streams.gumbel(self.samples, *theta.shape[2:])
        change(noisy)
        return noisy

    def harden(self, theta: Theta, table: Table, streams: Streams) -> tuple[Rows, dict[str, Tensor]]:
        nearest = _heaviest(theta)
        if not self.draws:
            return nearest, {}
        drawn = _heaviest(streams.plus_gumbel(theta, self.draws))  # [k c draws t]
        return torch.cat([nearest, drawn.transpose(1, 2).flatten(1, 2)], dim=1), {}

    def settle(self, theta: Theta, step: int) -> None:
        pass


class _GumbelMixture(torch.autograd.Function):
    """weights = softmax(noisy / temperature) and embeds = weights @ table, from theta.

    The same as autograd, with fewer passes over the vocabulary: the temperature divides the small gradient of `embeds`
    instead of the large one of `weights`, and noise is added and divided in place. On a processor, a restart whose noise is
    fresh and whose weight is on few words computes these words alone.
    """

    @staticmethod
    def forward(ctx, theta: Tensor, table: Tensor, relaxation: Gumbel, step: int, streams: Streams):
        ctx.set_materialize_grads(False)
        ctx.temperature, ctx.floor = relaxation.temperature(step), relaxation.floor
        ctx.few = _few_words(theta, table, relaxation, ctx.temperature, streams)
        if any(ctx.few.values()):
            embeds, weights = _few_or_all(ctx.few, theta, table, relaxation, ctx.temperature, streams)
            ctx.save_for_backward(theta, table, weights)
            return embeds, weights
        weights = relaxation.noisy(theta, streams, functools.partial(_weigh, temperature=ctx.temperature))
        ctx.save_for_backward(theta, table, weights)
        if relaxation.straight:
            rows = weights.argmax(dim=-1)
            heaviest = torch.zeros_like(weights).scatter_(-1, rows[..., None], 1.0)
            return table[rows] if table.dim() == 2 else SoftText.mixed(heaviest, table), heaviest
        return SoftText.mixed(weights, table), weights

    @staticmethod
    def backward(ctx, *slopes: Tensor | None):
        of_embeds, of_weights = slopes
        theta, table, weights = ctx.saved_tensors
        cooled = None if of_embeds is None else of_embeds.contiguous() / ctx.temperature
        if cooled is not None and of_weights is None and any(ctx.few.values()):
            slope = torch.empty_like(theta)
            for (k, c), few in ctx.few.items():
                part = slice(k, k + 1), slice(c, c + 1)
                slope[part] = few.slope(cooled[part], table) if few else _to_logits(SoftText.per_word(cooled[part], table), weights[part])
        else:
            slope = None if cooled is None else SoftText.per_word(cooled, table)
            if of_weights is not None:
                slope = of_weights / ctx.temperature if slope is None else slope.add_(of_weights, alpha=1 / ctx.temperature)
            slope = _to_logits(slope, weights)
        if ctx.floor is not None:
            probabilities = theta.softmax(dim=-1)
            slope = _softmax_backward(slope / (probabilities + ctx.floor), probabilities)
        return slope, None, None, None, None


def _weigh(noisy: Tensor, temperature: float) -> None:
    """Put in place of noisy logits the weights that they stand for."""
    torch.softmax(noisy.div_(temperature), dim=-1, out=noisy)
    torch.threshold_(noisy, NEGLIGIBLE, 0.0)


def _heaviest(weights: Float[Tensor, "*n v"]) -> Int[Tensor, "*n"]:
    """The first word of the largest weight: of the first span of words that has it. The library's own search takes twice as long."""
    words = weights.shape[-1]
    whole = words - words % HEAVIEST
    spans = weights[..., :whole].unflatten(-1, (-1, HEAVIEST)).amax(-1)
    if whole < words:
        spans = torch.cat([spans, weights[..., whole:].amax(-1, keepdim=True)], dim=-1)
    rows = spans.argmax(-1, keepdim=True) * HEAVIEST + torch.arange(HEAVIEST, device=weights.device)
    rows = rows.clamp(max=words - 1)
    return rows.gather(-1, weights.gather(-1, rows).argmax(-1, keepdim=True))[..., 0]


def _to_logits(slope: Any, weights: Tensor) -> Float[Tensor, "k c t v"]:
    """The gradient with respect to noisy logits, summed over samples, given `slope` [k c samples t v] with respect to `weights`."""
    slope = _softmax_backward(slope, weights)
    return slope[:, :, 0] if slope.shape[2] == 1 else slope.sum(dim=2)


def _softmax_backward(slope: Tensor, softmax: Tensor) -> Tensor:
    """The gradient with respect to x, given the gradient `slope` with respect to softmax(x), in its place and in one pass."""
    return torch.ops.aten._softmax_backward_data.out(slope, softmax, -1, softmax.dtype, grad_input=slope)


@dataclass(frozen=True)
class _FewWords:
    """The words with weight in the soft texts of one restart. Of n `weights`, each is at one of `places` among [samples t v]."""

    weights: Float[Tensor, " n"]
    places: Int[Tensor, " n"]
    shape: tuple[int, int, int]  # samples, t, v
    lengths: Int[Tensor, " r"]  # words of each of samples * t soft words

    @classmethod
    def draw(cls, logits: Float[Tensor, "t v"], samples: int, temperature: float, streams: Streams) -> "_FewWords | None":
        """Draw noise for one stream; None, and no noise is used up, where it is not few words that have weight.

        Left out is a word whose weight is below 1e-9 of the likeliest word's.
        """
        t, v = logits.shape
        best = logits.topk(min(LIKELIEST, v))
        at = torch.arange(samples * t).view(samples, t, 1) * v + best.indices
        least = (best.values + streams.next_gumbel(at.numpy())).amax(-1).amin(0)  # of every sample's largest noisy logit
        bounds = (least - SPAN * temperature)[:, None] - logits
        if -(-(-bounds).exp()).expm1().mean() > SHARE:  # as many are expected above their bounds
            return None
        places, noise = streams.gumbel_above(bounds, samples)
        noisy = (logits.flatten()[places % (t * v)] + noise) / temperature
        rows = places // v
        behind = noisy - torch.segment_reduce(noisy, "max", lengths=torch.bincount(rows, minlength=samples * t))[rows]
        near = behind > -SPAN
        weights, places, rows = behind[near].exp(), places[near], rows[near]
        lengths = torch.bincount(rows, minlength=samples * t)
        return cls(weights / torch.segment_reduce(weights, "sum", lengths=lengths)[rows], places, (samples, t, v), lengths)

    def mixed(self, table: Float[Tensor, "v d"]) -> Float[Tensor, "1 1 samples t d"]:
        """The soft words."""
        samples, t, v = self.shape
        begins = self.lengths.cumsum(0) - self.lengths
        mixed = torch.nn.functional.embedding_bag(self.places % v, table, begins, mode="sum", per_sample_weights=self.weights)
        return mixed.view(1, 1, samples, t, -1)

    def slope(self, of_mixed: Float[Tensor, "1 1 samples t d"], table: Float[Tensor, "v d"]) -> Float[Tensor, "t v"]:
        """The gradient with respect to the logits, summed over samples, given that with respect to the soft words."""
        _, t, v = self.shape
        of_rows, rows = of_mixed.flatten(0, 3), self.places // v
        pieces = zip(rows.split(PIECE), (self.places % v).split(PIECE), strict=True)
        along = torch.cat([(of_rows.index_select(0, row) * table.index_select(0, word)).sum(-1) for row, word in pieces])
        mean = torch.segment_reduce(self.weights * along, "sum", lengths=self.lengths)[rows]
        return along.new_zeros(t * v).index_add_(0, self.places % (t * v), self.weights * (along - mean)).view(t, v)


def _few_words(
    theta: Tensor, table: Tensor, relaxation: Gumbel, temperature: float, streams: Streams
) -> dict[tuple[int, int], _FewWords | None]:
    """The few words with weight of each restart of each target; empty where it is not worth to ask."""
    numbers = relaxation.samples * theta[0, 0].numel()
    if relaxation.straight or not relaxation.fresh or table.dim() > 2 or theta.device.type != "cpu" or numbers < FEWEST:
        return {}
    logits = relaxation.logits(theta)
    return {
        (k, c): _FewWords.draw(logits[k, c], relaxation.samples, temperature, streams.one(k, c))
        for k in range(len(theta))
        for c in range(theta.shape[1])
    }


def _few_or_all(
    found: Mapping[tuple[int, int], _FewWords | None],
    theta: Tensor,
    table: Tensor,
    relaxation: Gumbel,
    temperature: float,
    streams: Streams,
) -> tuple[Float[Tensor, "k c samples t d"], Float[Tensor, "k c samples t v"]]:
    """The soft words and the weights, where few words have weight for some restarts and all have for others."""
    embeds = theta.new_empty(*theta.shape[:2], relaxation.samples, theta.shape[2], table.shape[1])
    weights = theta.new_zeros(*theta.shape[:2], relaxation.samples, *theta.shape[2:])
    for (k, c), few in found.items():
        part = slice(k, k + 1), slice(c, c + 1)
        if few:
            embeds[part] = few.mixed(table)
            weights[part].view(-1)[few.places] = few.weights
        else:
            weights[part] = relaxation.noisy(theta[part], streams.one(k, c), functools.partial(_weigh, temperature=temperature))
            embeds[part] = SoftText.mixed(weights[part], table)
    streams.skip(weights[0, 0].numel())
    return embeds, weights
