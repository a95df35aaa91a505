"""What reading prefixes once, stopping early and batches of equal length save."""

import dataclasses
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from benchmarks.setup import Result, Settings, Unit, least, objective_of, open_corpus, open_model, targets_at
from torch import Tensor

from optigram.models.base import Model
from optigram.models.network import Network
from optigram.objective.forward import read, read_whole
from optigram.objective.objective import Objective
from optigram.papers.poerner2018.data import SHARES, Dataset
from optigram.papers.poerner2018.trainer import Trainer, Training
from optigram.scanning.ngrams import NgramScan
from optigram.scanning.plan import ScanSettings
from optigram.text.documents import Document
from optigram.text.ngrams import NGrams

CHAINS, CANDIDATES = 4, 64  # of texts in which one word is replaced
TIMED = 30_000  # windows that are timed from their first word
SHAPE, TURNS = (32, 8), 7  # texts and tokens of a forward that is timed; how often

Context = tuple[Model, Settings]


def prefixes(context: Context, unit: Unit, seed: int) -> list[Result]:
    """Corpus search, and replacing one word at each position, by prefix against every text read from its first word."""
    model, settings = context
    objective = objective_of(model, unit["site"], settings.targets, settings.length)
    texts = list(open_corpus(model, settings).texts())
    grams = torch.from_numpy(NGrams.read(texts, model.vocabulary, settings.length, objective.lexicon.numpy()).ids)
    windows = sum(max(len(model.vocabulary.encode(text)) - settings.length + 1, 0) for text in texts)
    results = []
    for name, ids in _tried(objective, grams, seed):
        metrics = _by_prefix(objective.subset(range(len(objective.targets))), ids)
        if ids is grams:
            metrics |= {"unique": len(ids), "windows": windows}
        results.append(Result(metrics, settings={"texts": name}))
    return results


def _tried(objective: Objective, grams: Tensor, seed: int) -> Iterator[tuple[str, Tensor]]:
    """All unique n-grams, and sets of texts that differ in one position."""
    yield "all n-grams of the corpus", grams
    draw = torch.Generator().manual_seed(seed)
    for place in range(objective.length):
        replaced = grams[torch.randint(len(grams), (CHAINS,), generator=draw)].repeat_interleave(CANDIDATES, 0)
        replaced[:, place] = objective.lexicon[torch.randint(len(objective.lexicon), (len(replaced),), generator=draw)]
        yield f"{CHAINS} x {CANDIDATES} words replaced at {place + 1} of {objective.length}", replaced


def _by_prefix(objective: Objective, ids: Tensor) -> dict[str, Any]:
    """How many times fewer cell steps, and less time, reading each prefix once takes; and the forward-equivalents spent."""
    inputs = torch.tensor([objective.template.fill(text) for text in ids.tolist()])[None]
    shared = objective.score(ids[None]).activation
    spent, groups = float(objective.cost.spent[0]), objective._groups

    def whole() -> Tensor:
        with torch.no_grad():
            return torch.cat([read_whole(objective.model, inputs, [part]) for part in groups])

    ratio = least(whole, 2) / least(lambda: objective.score(ids[None]), 2)
    return {"cells": len(ids) / spent, "time": ratio, "spent": spent, "difference": float((whole() - shared).abs().max())}


def exchanges(context: Context, unit: Unit, seed: int) -> list[Result]:
    """Replacing one word, the first, the middle or the last, of texts of several lengths, by prefix against reading them whole."""
    model, settings = context
    draw, results = torch.Generator().manual_seed(seed), []
    for length in map(int, settings.option("lengths", "5,12,30").split(",")):
        objective = objective_of(model, settings.sites[0], 1, length)
        for place in (0, length // 2, length - 1):
            texts = Network.ordinary_ids(model.vocabulary, (CHAINS, length), seed=seed).repeat_interleave(CANDIDATES, 0)
            texts[:, place] = objective.lexicon[torch.randint(len(objective.lexicon), (len(texts),), generator=draw)]
            inputs = torch.tensor([objective.template.fill(text) for text in texts.tolist()])[None]
            _, cost = _by_read(objective, inputs)
            times: dict[str, list[float]] = {"prefix": [], "whole": []}
            for _ in range(settings.option("turns", 3)):  # by turns
                times["prefix"].append(least(lambda inputs=inputs, objective=objective: _by_read(objective, inputs), 1))
                times["whole"].append(least(lambda inputs=inputs, objective=objective: _all_whole(objective, inputs), 1))
            metrics = {"ratio": min(times["prefix"]) / min(times["whole"]), "cells": float(cost[0]) / len(texts)}
            results.append(Result(metrics, settings={"words": length, "replaced": place + 1}))
    return results


def _by_read(objective: Objective, inputs: Tensor) -> tuple[Tensor, Tensor]:
    with torch.no_grad():
        return read(objective.model, inputs, objective._groups, objective._layout.ends, objective._blocks)


def _all_whole(objective: Objective, inputs: Tensor) -> Tensor:
    with torch.no_grad():
        return read_whole(objective.model, inputs, objective._groups)


def stopping(context: Context, unit: Unit, seed: int) -> list[Result]:
    """The forward that stops at a site of the first third of the blocks, and the one without the vocabulary, to the whole one."""
    model, _ = context
    assert isinstance(model, Network)
    layers = 1 + max(int(site.rpartition(".")[2]) for site in model.sites.canonical)
    site = f"mlp_act.{max(layers // 3 - 1, 0)}"
    embeds = model.embedding[Network.ordinary_ids(model.vocabulary, SHAPE, seed=seed).to(model.embedding.device)]
    logits = model.sites["logits"].linear if "logits" in model.sites else None
    runs: dict[str, Callable[[], object]] = {f"stopped at {site}": lambda: model.read(embeds, [site])}
    if logits is not None:
        runs["without the vocabulary"] = lambda: model.read(embeds, [logits.source])
    runs["whole"] = lambda: model.inputs.take_embeds(embeds.to(model.dtype))
    times: dict[str, list[float]] = {name: [] for name in runs}
    with torch.no_grad():
        for _ in range(TURNS + 1):  # by turns, the first to warm up
            for name, run in runs.items():
                times[name].append(least(run, 1))
    middle = {name: float(np.median(taken[1:])) for name, taken in times.items()}
    return [
        Result({"milliseconds": 1000 * taken, "times_faster": middle["whole"] / taken}, settings={"what": name})
        for name, taken in middle.items()
    ]


def scan_setup(settings: Settings) -> tuple[Model, Settings, list[str]]:
    """The model, and the sentences."""
    model = open_model(settings.model)
    return model, settings, list(open_corpus(model, settings).texts())


def scan_ngrams(context: tuple[Model, Settings, list[str]], unit: Unit, seed: int) -> list[Result]:
    """Every n-gram alone: unique n-grams by prefix, against every window from its first word."""
    model, settings, texts = context
    targets = targets_at(model, [f"{site}:0-{min(settings.targets, model.sites[site].width) - 1}" for site in settings.sites])
    alone = NgramScan(model, targets, ScanSettings(question="alone", skipped=0, length=settings.length))
    begun = time.process_time()
    list(alone.take(Document(number, text) for number, text in enumerate(texts)))
    seconds = time.process_time() - begun
    rows = [model.vocabulary.encode(text) for text in texts]
    grams = NGrams.of(rows, settings.length, alone.allowed).ids
    steps = float(alone.objective.cost.forwards[0]) * settings.length
    objective, part = Objective(model, targets, settings.length), grams[:: max(len(grams) // TIMED, 1)]

    def naive() -> None:
        with torch.no_grad():
            for some in torch.from_numpy(part).split(128):
                states = model.read(model.embedding[some], [each.sites[0] for each in objective._groups])
                for readout in objective._groups:
                    readout.activations(states, None)

    whole = least(naive, 1) * len(grams) / len(part)
    cells = len(grams) * settings.length
    metrics = {"windows": len(grams), "unique": alone.statistics.count, "steps": steps, "naive_steps": cells}
    return [Result(metrics | {"cells": cells / steps, "time": whole / seconds, "seconds": seconds})]


class _Timed(Trainer):
    """A trainer that notes how long forward and backward took."""

    inside = 0.0

    def climb(self, batch: Any) -> None:
        begun = time.process_time()
        super().climb(batch)
        self.inside += time.process_time() - begun


def training_setup(settings: Settings) -> tuple[list[Document], Training]:
    """Captions for so many batches as the option `batches` says."""
    sizes = settings.option("width", 256)
    training = Training(embedding=sizes, hidden=sizes, alpha=0.5, batch=64, rate=2e-3, dropout=0.15, rare=0.5)
    texts = list(open_corpus(open_model(settings.model), settings).texts())
    return [Document(number, text) for number, text in enumerate(texts[: settings.option("batches", 150) * training.batch])], training


def training(context: tuple[list[Document], Training], unit: Unit, seed: int) -> list[Result]:
    """The share of an epoch's processor time inside forward and backward, and what length-bucketed batches save."""
    captions, settings = context
    bucketed, inside = _epoch(captions, settings)
    unsorted, _ = _epoch(captions, dataclasses.replace(settings, bucketed=False))
    return [Result({"inside": inside, "unsorted": unsorted / bucketed, "seconds": bucketed, "captions": len(captions)})]


def _epoch(captions: list[Document], settings: Training) -> tuple[float, float]:
    data = Dataset.split(captions, None, SHARES, settings.seed)
    trainer = _Timed(Trainer.new_model(data.parts["train"], None, settings), data, settings)
    begun = time.process_time()
    trainer.train_epoch()
    seconds = time.process_time() - begun
    return seconds, trainer.inside / seconds
