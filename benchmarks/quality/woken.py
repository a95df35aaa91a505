"""Latents of a sparse autoencoder that are silent on a corpus, and how many of them a search wakes.

A small TopK autoencoder is trained on the states of the corpus's texts, as they come, without a loss that revives latents. A latent is
silent if it is not among the k largest at any position of any text, and a text wakes it if it is there, by its true activation. Beside
the latents stand random directions, each in the place of one of them: of the same norm, with a bias by which it misses the k largest by
as much on the corpus. What wakes them as often tells nothing about latents.
"""

import itertools
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from benchmarks.quality.search import plain
from benchmarks.setup import Result, Settings, Unit, open_corpus, open_model
from torch import Tensor

from optigram.errors import InputError
from optigram.methods import method_named
from optigram.models.base import Model
from optigram.models.loading import BUNDLED, load
from optigram.objective.objective import Objective
from optigram.optimize.search import Budget, search
from optigram.runs.corpus import corpus_for
from optigram.study import statistics
from optigram.targets.build import latent
from optigram.targets.target import resolve

TOP, RATE = 16, 1e-3
TOKENS = 1 << 14  # per forward pass
BATCH, BLOCK = 1024, 1 << 13
KINDS = ("silent latents", "random directions")


class _Coder(NamedTuple):
    """The autoencoder: `encoder` [n h], `bias` [n], `center` [h]."""

    encoder: Tensor
    bias: Tensor
    center: Tensor

    def before(self, states: Tensor) -> Tensor:
        """The pre-activations [b n] of states [b h]."""
        return torch.addmm(self.bias, states - self.center, self.encoder.T)

    def mapping(self) -> dict[str, Any]:
        """As `optigram.latent` takes it."""
        return {**self._asdict(), "k": TOP}


@dataclass(frozen=True)
class Silence:
    """Both autoencoders of a site by kind, the places of the drawn silent latents, and what is known of all of them."""

    model: Model
    settings: Settings
    coders: dict[str, _Coder]
    drawn: tuple[int, ...]
    known: dict[str, float]


def setup(settings: Settings) -> Silence:
    """Read the corpus, train the autoencoder of the first site, count what is silent, and put random directions beside it."""
    model, (site, *_) = open_model(settings.model), settings.sites
    texts = list(itertools.islice(_texts(model, settings), settings.option("texts", 100_000)))
    states = torch.cat(list(_states(model, site, texts)))
    coder, unexplained = _trained(states, settings.option("latents", 3072), settings.option("steps", 1500))
    gap = _gaps(coder, states, slice(None))
    silent = (gap < 0).nonzero()[:, 0]
    if not len(silent):
        raise InputError(f"expected silent latents, got none of {len(gap)}; give fewer texts or more latents")
    order = torch.randperm(len(silent), generator=torch.Generator().manual_seed(0))
    drawn = silent[order[: settings.targets]].sort().values
    random = _replaced(coder, states, drawn, gap[drawn])
    known = {"texts": len(texts), "silent": len(silent) / len(gap), "unexplained": unexplained, "gap": float(gap[drawn].median())}
    return Silence(model, settings, dict(zip(KINDS, (coder, random), strict=True)), tuple(drawn.tolist()), known)


def woken(context: Silence, unit: Unit, seed: int) -> list[Result]:
    """The share of each kind that a method wakes from random texts."""
    made = []
    for kind, coder in context.coders.items():
        sae = coder.mapping()
        targets = resolve([latent(unit["site"], sae, index).max() for index in context.drawn], context.model)
        objective = Objective(context.model, targets, context.settings.length, must_survive=True)
        method, begun = method_named(unit["method"], unit["budget"], attends=context.model.attends), time.process_time()
        found = search(objective, method, Budget(forwards=unit["budget"]), seed).found
        seconds = (time.process_time() - begun) / len(targets)
        values = [0.0 if one is None or not len(one.activation) else float(one.activation[0]) for one in found]
        on = sum(value > 0 for value in values)
        metrics = {"woken": plain(statistics.Interval.share(on, len(values))), "height": float(np.median(values))}
        spent = [one.forwards + one.backwards for one in found if one is not None]
        metrics |= {"seconds": seconds, "spent": float(np.median(spent)), **context.known}
        decode = context.model.vocabulary.decode
        texts = [
            {"target": f"{unit['site']}#{index}", "text": decode(one.ids[0].tolist()), "activation": value}
            for index, one, value in zip(context.drawn, found, values, strict=True)
            if one is not None and len(one.ids)
        ]
        made.append(Result(metrics, texts, {"what": kind}))
    return made


def _texts(model: Model, settings: Settings) -> Iterator[str]:
    """The texts of the corpora, then those that the bundled model wrote."""
    if settings.corpus:
        yield from open_corpus(model, settings).texts()
    yield from corpus_for(load(BUNDLED), None).texts()


def _states(model: Model, site: str, texts: Sequence[str]) -> Iterator[Tensor]:
    """The states [n h] at all positions of the texts, which are read in batches of equal length: no position is padding."""
    words = model.vocabulary
    ids = [(*words.prefix, *words.encode(text), *words.suffix) for text in texts]
    for length, group in itertools.groupby(sorted(ids, key=len), key=len):
        for part in torch.tensor(list(group)).split(max(TOKENS // length, 1)):
            with torch.inference_mode():
                yield model.read(model.embedding[part], [site])[site].flatten(0, 1)


def _trained(states: Tensor, latents: int, steps: int) -> tuple[_Coder, float]:
    """A TopK autoencoder of states [n h] with unit decoder rows, trained with Adam; and the share of variance it leaves unexplained."""
    generator = torch.Generator().manual_seed(0)
    center = states.mean(0)
    scale = (states - center).norm(dim=1).mean() / states.shape[1] ** 0.5
    decoder = torch.nn.functional.normalize(torch.randn(latents, states.shape[1], generator=generator), dim=1)
    parts = [part.requires_grad_() for part in (decoder.clone(), torch.zeros(latents), torch.zeros_like(center), decoder)]
    encoder, bias, shift, decoder = parts
    adam = torch.optim.Adam(parts, lr=RATE)
    for _ in range(steps):
        batch = (states[torch.randint(len(states), (BATCH,), generator=generator)] - center) / scale
        loss = (_rebuilt(batch, encoder, bias, shift, decoder) - batch).square().sum(1).mean()
        adam.zero_grad()
        loss.backward()
        adam.step()
        with torch.no_grad():
            decoder.copy_(torch.nn.functional.normalize(decoder, dim=1))
    with torch.no_grad():
        sample = (states[torch.randint(len(states), (BLOCK,), generator=generator)] - center) / scale
        left = (_rebuilt(sample, encoder, bias, shift, decoder) - sample).square().sum() / (sample - sample.mean(0)).square().sum()
        return _Coder(encoder.detach() / scale, bias.detach(), center + shift.detach() * scale), float(left)


def _rebuilt(states: Tensor, encoder: Tensor, bias: Tensor, shift: Tensor, decoder: Tensor) -> Tensor:
    best = torch.addmm(bias, states - shift, encoder.T).topk(TOP, dim=1)
    return torch.zeros(len(states), len(encoder)).scatter(1, best.indices, best.values.relu()) @ decoder + shift


@torch.no_grad()
def _gaps(coder: _Coder, states: Tensor, rows: Any, others: Tensor | None = None) -> Tensor:
    """How far above the edge of the k largest, or above 0, each latent of `rows` ever is: negative for a silent one.

    With `others` [m h], rows of another encoder without biases stand in the places `rows`.
    """
    found = None
    for block in states.split(BLOCK):
        before = coder.before(block)
        edge = before.topk(TOP, dim=1).values[:, -1:].clamp_min(0)
        asked = before[:, rows] if others is None else (block - coder.center) @ others.T
        most = (asked - edge).amax(0)
        found = most if found is None else torch.maximum(found, most)
    assert found is not None
    return found


def _replaced(coder: _Coder, states: Tensor, drawn: Tensor, gap: Tensor) -> _Coder:
    """The autoencoder with random rows in the places `drawn`, of the norms that are there and as far below the edge on the corpus."""
    generator = torch.Generator().manual_seed(1)
    rows = torch.randn(len(drawn), states.shape[1], generator=generator)
    rows *= coder.encoder[drawn].norm(dim=1, keepdim=True) / rows.norm(dim=1, keepdim=True)
    encoder, bias = coder.encoder.clone(), coder.bias.clone()
    encoder[drawn], bias[drawn] = rows, gap - _gaps(coder, states, drawn, rows)
    return _Coder(encoder, bias, coder.center)
