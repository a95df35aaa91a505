"""Corpus search: the next neuron of a site against the first one, texts that differ against the best ones, and a bound on surprisal."""

import functools
import itertools
import os
import tempfile
import time
from pathlib import Path
from unittest import mock

import torch
from benchmarks.setup import Result, Settings, Unit, open_corpus, open_model, targets_at

from optigram.files import CACHE_FOLDER
from optigram.models.base import Model
from optigram.objective.fluency import Fluency
from optigram.objective.objective import Objective
from optigram.optimize.search import search
from optigram.runs.corpus_best import best_of_corpus
from optigram.runs.find import run_methods
from optigram.runs.options import FindOptions
from optigram.runs.plan import corpus_search
from optigram.runs.records import Record
from optigram.text.sources import Corpus

Context = tuple[Model, Corpus, Settings]


def setup(settings: Settings) -> Context:
    """The model and the corpus."""
    model = open_model(settings.model)
    return model, open_corpus(model, settings), settings


def next_neuron(context: Context, unit: Unit, seed: int) -> list[Result]:
    """Corpus search for one neuron after another: without a cache, with an empty one, and with what the neuron before left there."""
    _, corpus, settings = context
    pool = settings.option("pool", "")
    first, second = (f"{unit['site']}:{number}{pool}" for number in (0, 1))
    _timed(context, first, FindOptions(by=("crp",), no_cache=True), _few(corpus))
    with tempfile.TemporaryDirectory() as folder, mock.patch.dict(os.environ, {CACHE_FOLDER: folder}):
        plain, expected = _timed(context, second, FindOptions(by=("crp",), no_cache=True), corpus)
        cold, _ = _timed(context, first, FindOptions(by=("crp",)), corpus)
        warm, found = _timed(context, second, FindOptions(by=("crp",)), corpus)
        kept = sum(file.stat().st_size for file in Path(folder).glob("*/*"))
    assert [(r.ids, r.activation, r.forwards, r.trace) for r in found] == [(r.ids, r.activation, r.forwards, r.trace) for r in expected]
    ratios = {"ratio": warm / cold, "overhead": cold / plain}
    return [Result({"uncached": plain, "first": cold, "second": warm, "kept": kept / 1e6, **ratios})]


def diverse(context: Context, unit: Unit, seed: int) -> list[Result]:
    """Five texts that share at most 60% of their words, to the five best ones."""
    target = f"{unit['site']}:0{context[2].option('pool', '')}"
    asked = FindOptions(by=(unit["method"],), n=5, budget=unit["budget"], no_cache=True, seed=seed)
    _timed(context, target, FindOptions(by=("crp",), no_cache=True), _few(context[1]))
    best, _ = _timed(context, target, asked.model_copy(update={"apart": 1.0}), context[1])
    apart, found = _timed(context, target, asked, context[1])
    return [Result({"best": best, "apart": apart, "ratio": apart / best}, [{"text": r.text, "activation": r.activation} for r in found])]


def bounded(context: Context, unit: Unit, seed: int) -> list[Result]:
    """The best n-grams within a bound on surprisal, which is computed of the highest activations, to computing it of all n-grams."""
    model, corpus, settings = context
    fluency = Fluency(band=(0.0, settings.option("most", 5.0)))
    objective = Objective(model, f"{unit['site']}:{settings.option('unit', '0')}", settings.length, fluency=fluency)
    ngrams, seconds, found = corpus_search(objective, corpus), dict[str, float](), list[tuple[list[list[int]], list[float]]]()
    Objective(model, objective.targets, settings.length, fluency=fluency).score(torch.from_numpy(ngrams.texts[:64])[None])
    lazy, whole = functools.partial(best_of_corpus, objective, ngrams, 16), functools.partial(search, objective, ngrams, n=16)
    for name, run in (("whole", whole), ("lazy", lazy)):
        begun = time.process_time()
        (one,) = run().found
        seconds[name] = time.process_time() - begun
        assert one is not None
        found.append((one.ids.tolist(), one.activation.tolist()))
    assert found[0] == found[1]
    texts = [{"text": model.vocabulary.decode(found[0][0][0]), "activation": found[0][1][0]}]
    return [Result(seconds | {"ratio": seconds["lazy"] / seconds["whole"], "ngrams": float(len(ngrams.texts))}, texts)]


def _few(corpus: Corpus) -> Corpus:
    """Some of the texts, to warm up."""
    return Corpus("few", held=tuple(itertools.islice(corpus.texts(), 200)))


def _timed(context: Context, target: str, options: FindOptions, corpus: Corpus) -> tuple[float, list[Record]]:
    """Processor seconds of a search, from the corpus's texts to the records, and the records."""
    begun = time.process_time()
    objective = Objective(context[0], targets_at(context[0], [target]), context[2].length)
    (found,) = run_methods(objective, options, corpus)
    return time.process_time() - begun, found.records
