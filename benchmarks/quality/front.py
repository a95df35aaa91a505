"""Pareto fronts of activation and surprisal: the area under each, against that of EPO's published code on the same neurons.

The published code is no part of this project: the option `epo` names its file, `dreamy/epo.py` of the repository Confirm-Solutions/dreamy,
which is run with its own settings (12 words, 8 slots, 32 children, `iters` rounds) on the transformers network of the model, which
must add no tokens around a text. `module` is the path of the module whose output is the site. All fronts are scored by optigram.
The area is that of all (activation, surprisal) that a text of the front beats, up to the surprisal of a uniform draw of tokens.
"""

import contextlib
import importlib.util
import io
import math
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import torch
from benchmarks.quality.search import plain
from benchmarks.setup import Result, Settings, Unit, drawn_units, objective_of, open_corpus, open_model
from torch import Tensor

from optigram.errors import InputError
from optigram.models.base import Model
from optigram.models.network import Network
from optigram.objective.fluency import Fluency
from optigram.objective.objective import Objective
from optigram.optimize.pareto import ParetoFront
from optigram.optimize.search import Budget, search
from optigram.runs.plan import Plan, corpus_search, reads_corpus
from optigram.study import statistics

APART, FIRST = 1e-3, 16  # how far two programs may differ; corpus texts that a search begins from
PUBLISHED = "epo, as published"


@dataclass(frozen=True)
class Fronts:
    """The area, the forward-equivalents and the processor seconds of each neuron, by one method."""

    area: list[float]
    spent: list[float]
    seconds: list[float]


def setup(settings: Settings) -> tuple[Model, Settings]:
    """The model."""
    return open_model(settings.model), settings


def compare(context: tuple[Model, Settings], unit: Unit, seed: int) -> list[Result]:
    """All methods on the same neurons, each neuron alone; ratios are to the published code, or to the first method without it.

    The corpus is read for all neurons at once; its cost is in no row.
    """
    model, settings = context
    objective = objective_of(model, unit["site"], settings.targets, settings.length, fluency=Fluency(front=True))
    found = {}
    if file := settings.option("epo", ""):
        found[PUBLISHED] = _published(objective, _module(Path(file)), settings, drawn_units(model, unit["site"], settings.targets), seed)
    for method in settings.by:
        found[method] = _searched(objective, method, unit["budget"], settings, seed)
    base = np.array(next(iter(found.values())).area)
    return [Result(_against(fronts, base), settings={"method": name}) for name, fronts in found.items()]


def _against(fronts: Fronts, base: np.ndarray) -> dict[str, Any]:
    area, on = np.array(fronts.area), base > 0
    return {
        "area": float(np.median(area)),
        "ratio": plain(statistics.Interval.median(area[on] / base[on])),
        "above": int((area > base * (1 + APART)).sum()),
        "below": int((area < base * (1 - APART)).sum()),
        "spent": float(np.median(fronts.spent)),
        "seconds": float(np.mean(fronts.seconds)),
    }


def _searched(objective: Objective, method: str, budget: float, settings: Settings, seed: int) -> Fronts:
    corpus = corpus_search(objective, open_corpus(objective.model, settings)) if reads_corpus([method]) else None
    plan, found = Plan.of(method, objective, corpus, budget), Fronts([], [], [])
    assert plan.method is not None
    read = search(objective, plan.corpus, front=True).found if plan.corpus is not None else [None] * len(objective.targets)
    for number, best in enumerate(read):
        one, begun = objective.subset([number]), time.process_time()
        start = None if best is None else best.ids[torch.linspace(0, len(best.ids) - 1, FIRST).long()][None]
        (front,) = search(one, plan.method, Budget(forwards=budget), seed, start=start, front=True).found
        assert front is not None
        assert front.surprisal is not None
        found.area.append(_area(one, front.activation, front.surprisal))
        found.spent.append(front.forwards + front.backwards)
        found.seconds.append(time.process_time() - begun)
    return found


def _area(objective: Objective, activation: Tensor, surprisal: Tensor) -> float:
    worst = math.log(len(objective.model.vocabulary.tokens))
    rows = sorted(zip(surprisal.tolist(), activation.tolist(), strict=True))
    area, best = 0.0, 0.0
    for (nats, value), upto in zip(rows, [*(row[0] for row in rows[1:]), worst], strict=True):
        best = max(best, value)
        area += best * (min(upto, worst) - min(nats, worst))
    return area


def _module(file: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("published_epo", file) if file.is_file() else None
    if spec is None or spec.loader is None:
        raise InputError(f"expected the file dreamy/epo.py of EPO's repository, got {file}; fetch it and name it with --option epo=FILE")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # its dataclasses look for their module
    spec.loader.exec_module(module)
    return module


def _published(objective: Objective, code: ModuleType, settings: Settings, units: Sequence[int], seed: int) -> Fronts:
    """The fronts of all texts that the published code scored."""
    model, found = objective.model, Fronts([], [], [])
    if not isinstance(model, Network) or model.vocabulary.prefix or model.vocabulary.suffix:
        raise InputError("expected a causal model of transformers that adds no tokens around a text; leave out --option epo")
    tokenizer = SimpleNamespace(vocab_size=len(model.vocabulary.tokens))  # all that it asks of one
    watched: Any = model.module.get_submodule(settings.option("module", "transformer.h.1.mlp.act"))
    for number, unit in enumerate(units):
        run = _Watched(model.module, watched, unit)
        begun = time.process_time()
        with contextlib.redirect_stdout(io.StringIO()), run:
            history = code.epo(
                run,
                model.module,
                tokenizer,
                objective.length,
                iters=settings.option("iters", 300),
                seed=seed,
                callback=lambda *a, **b: None,
            )
        found.seconds.append(time.process_time() - begun)
        found.spent.append(run.spent)
        ids = torch.from_numpy(history.ids.reshape(1, -1, objective.length)).long()
        said = ParetoFront.of(ids, *(torch.from_numpy(told.reshape(1, -1)) for told in (history.target, history.xentropy)))
        scores = objective.subset([number]).viewed("exact").score(said.ids)
        assert scores.surprisal is not None
        for ours, theirs in ((scores.activation, said.activation), (scores.surprisal, said.surprisal)):
            torch.testing.assert_close(ours, theirs, rtol=APART, atol=APART)
        found.area.append(_area(objective, scores.activation[0], scores.surprisal[0]))
    return found


class _Watched:
    """What the published code asks of a model: the target and the logits of texts; it counts forward-equivalents."""

    def __init__(self, network: Any, watched: Any, unit: int) -> None:
        self.network, self.watched, self.unit, self.spent = network, watched, unit, 0

    def __enter__(self) -> None:
        self.hook = self.watched.register_forward_hook(self._see)

    def __exit__(self, *raised: object) -> None:
        self.hook.remove()

    def _see(self, module: Any, given: Any, states: Tensor) -> None:
        self.states = states

    def __call__(self, **texts: Tensor) -> dict[str, Tensor]:
        ((name, text),) = texts.items()
        self.spent += len(text) * (3 if name == "inputs_embeds" else 1)
        logits = self.network(**texts).logits
        return {"target": self.states[:, 1:, self.unit].amax(1), "logits": logits}  # as optigram, without the first token of all
