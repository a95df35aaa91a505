"""Speed of a step, of one neuron against many, and of the front door: ratios of processor time, side by side in one run."""

import dataclasses
import functools
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from unittest import mock

import torch
from benchmarks.quality.ablations import DENSE, shortlist_setup, shortlists
from benchmarks.results import ROOT
from benchmarks.setup import Result, Settings, Unit, drawn_units, least, model_source, objective_of, open_model, targets_at

import optigram
from optigram.methods import gumbel
from optigram.methods import paper as presets
from optigram.methods.ascent import BLOCK, Ascent
from optigram.methods.gumbel import Gumbel
from optigram.methods.shortlist import Shortlist
from optigram.models.base import Model
from optigram.objective.blocks import HARD, SOFT
from optigram.objective.objective import Objective
from optigram.objective.rng import Streams
from optigram.objective.scores import SoftText
from optigram.optimize.search import Budget, search
from optigram.runs.plan import Plan

SURE = 18.0  # the logit of a word of which a run of the authors' gbl has become sure; those of others are near 0
ANNEALED = 60_000  # steps of such a run until its temperature is at its lowest
MANY = 9  # steps of the longer of two runs, whose difference is what steps cost


def one_model(settings: Settings) -> tuple[Model, Settings]:
    """The model."""
    return open_model(settings.model), settings


def gumbel_step(context: tuple[Model, Settings], unit: Unit, seed: int) -> list[Result]:
    """A gumbel step against its two large products alone, P @ M and the gradient @ M.T, at the same shapes, into memory at hand."""
    model, settings = context
    restarts = settings.option("restarts", 4)
    objective = objective_of(model, "language", settings.targets, settings.length)
    streams = Streams(seed, [target.key for target in objective.targets], restarts, objective.device)
    words, shape = len(objective.lexicon), (len(objective.targets), restarts, settings.length, len(objective.lexicon))
    logits, products = torch.zeros(shape), _products(objective, restarts)
    whole = least(products)
    times = {
        "a step, in batches": _step(objective, restarts, BLOCK, seed),
        "a step, one neuron at a time": _step(objective, restarts, 1, seed),
        "a step, over a whole anneal": _anneal(objective, restarts, settings.budgets[0], seed),
        "fresh noise": least(lambda: streams.gumbel(settings.length, words)),
        "pooled noise, added": least(lambda: streams.plus_gumbel(logits, 1)),
    }
    return [Result({"ratio": seconds / whole}, settings={"what": name}) for name, seconds in times.items()]


def _products(objective: Objective, restarts: int) -> Callable[[], object]:
    """The two products of a step, for all restarts of all neurons."""
    rows, (v, d) = len(objective.targets) * restarts * objective.length, objective.table.shape
    weights, slope = torch.rand(rows, v).softmax(-1), torch.randn(rows, d)
    soft, back = torch.empty(rows, d), torch.empty(rows, v)

    def run() -> None:
        torch.mm(weights, objective.table, out=soft)
        torch.mm(slope, objective.table.T, out=back)

    return run


def _step(objective: Objective, restarts: int, block: int, seed: int) -> float:
    """Seconds of a step of all neurons: the difference of a longer and a shorter run, per step."""

    def run(steps: int) -> Callable[[], object]:
        method = Ascent(Gumbel(), steps, 0.3, restarts, every=steps, block=block)
        return lambda: search(objective.subset(range(len(objective.targets))), method, seed=seed)

    return max(least(run(MANY), 2) - least(run(1), 2), 0.0) / (MANY - 1)


def _anneal(objective: Objective, restarts: int, budget: float, seed: int) -> float:
    """Seconds of a step of all neurons, as the mean over a whole run of gbl, from its hottest to its coldest step."""
    method = dataclasses.replace(presets.modern("gbl", budget), restarts=restarts)
    few = min(method.batch, len(objective.targets))
    seconds = least(lambda: search(objective.subset(range(few)), method, seed=seed), 1)
    return seconds / method.steps * len(objective.targets) / few


def few_words(context: tuple[Model, Settings], unit: Unit, seed: int) -> list[Result]:
    """A step of the authors' gbl for one neuron where few words have weight, to the same step with all words, at falling temperatures."""
    model, settings = context
    objective = objective_of(model, "language", 1, settings.length)
    method = presets.faithful("gbl")
    relaxation = method.relaxation
    assert isinstance(relaxation, Gumbel)
    streams = Streams(seed, [objective.targets[0].key], 1, objective.device)
    theta = relaxation.start(streams, objective.length, objective.table)
    theta.scatter_(-1, streams.integers(len(objective.lexicon), objective.length, 1), SURE).requires_grad_()

    def step(at: int) -> None:
        soft = relaxation.soften(theta, objective.table, at, streams)
        torch.autograd.grad(objective.relax(SoftText(soft.embeds, None)).value.sum(), theta)

    found = []
    for at in range(0, ANNEALED + 1, ANNEALED // 4):
        few = least(functools.partial(step, at))
        with mock.patch.object(gumbel, "FEWEST", float("inf")):
            whole = least(functools.partial(step, at))
        found.append(Result({"ratio": few / whole, "seconds": few}, settings={"what": f"temperature {relaxation.temperature(at):.2f}"}))
    return found


def bare_mix(context: tuple[Model, Settings], unit: Unit, seed: int) -> list[Result]:
    """A search of a batch of neurons, to the forwards and backwards of the model alone that it is charged for, in full blocks."""
    model, settings = context
    addresses = [f"{unit['site']}:{number}@max" for number in drawn_units(model, unit["site"], settings.targets)]
    objective = Objective(model, targets_at(model, addresses), settings.length)
    method = Plan.of(unit["method"], objective, None, unit["budget"]).method
    assert method is not None
    forward, both = _bare(objective)
    begun = time.process_time()
    found = search(objective, method, Budget(forwards=unit["budget"]), seed).found
    seconds = time.process_time() - begun
    climbed = sum(one.backwards / 2 for one in found if one is not None)
    bare = sum(one.forwards for one in found if one is not None) * forward + climbed * (both - forward)
    return [Result({"seconds": seconds, "bare": bare, "ratio": seconds / bare})]


def _bare(objective: Objective) -> tuple[float, float]:
    """Seconds of the forward of one text without a gradient, and of one with it and its backward, in full blocks."""
    model, words = objective.model, objective.lexicon
    sites = objective._groups[0].sites  # the floor reads what the objective reads
    whole = [objective.template.fill(words[torch.randint(len(words), (objective.length,))].tolist()) for _ in range(HARD)]
    hard = model.embedding.detach()[torch.tensor(whole)]

    def forward() -> None:
        with torch.no_grad():
            model.read(hard, sites)

    def both() -> None:
        soft = hard[:SOFT].clone().requires_grad_()
        torch.autograd.grad(torch.stack([state[:, -1].sum() for state in model.read(soft, sites).values()]).sum(), soft)

    return least(forward) / HARD, least(both) / SOFT


def single_neuron(context: tuple[Model, Settings], unit: Unit, seed: int) -> list[Result]:
    """Processor seconds of a search for one neuron, alone and as one of a batch; forward-equivalents are the same in both."""
    model, settings = context
    objective = objective_of(model, unit["site"], settings.targets, settings.length)
    method = Plan.of(unit["method"], objective, None, unit["budget"]).method
    assert method is not None

    def run(targets: int) -> tuple[float, float]:
        part, begun = objective.subset(range(targets)), time.process_time()
        found = search(part, method, Budget(forwards=unit["budget"]), seed).found
        seconds = (time.process_time() - begun) / targets
        return seconds, max(one.forwards + one.backwards for one in found if one is not None)

    many = len(objective.targets)
    run(1)  # to warm up
    (alone, spent), (shared, _) = run(1), run(many)
    return [Result({"alone": alone, "in_batch": shared, "ratio": alone / shared, "neurons": many, "spent": spent})]


def time_to_first(settings: Settings, unit: Unit, seed: int) -> list[Result]:
    """Wall and processor seconds until a neuron's best text is there: by two calls of `find` in each of `processes`, and as a command.

    The first process begins with an empty cache, which holds a GGUF file converted and nothing else.
    """
    source, times = str(model_source(settings.model)), {}
    with tempfile.TemporaryDirectory() as folder, mock.patch.dict(os.environ, OPTIGRAM_CACHE=folder):
        if source.endswith(".gguf"):
            open_model(source)
        calls = f"from benchmarks.speed.steps import Settings, timed_calls; timed_calls({settings!r}, {unit!r})"
        for number in range(settings.option("processes", 2)):
            lines = _timed(["-c", calls])[0].splitlines()[-2:]
            for call, line in zip(("first call", "second call"), lines, strict=True):
                times[call if number == 0 else f"{call}, another process"] = [float(part) for part in line.split()]
        command = ["-m", "optigram", "find", source, unit["site"], "--by", unit["method"]]
        command += ["--budget", f"{unit['budget']:.0f}", "--length", str(settings.length)]
        times["command"] = _timed([*command, "--corpus", settings.corpus[0]] if settings.corpus else command)[1:]
    return [Result({"wall": wall, "processor": processor}, settings={"what": name}) for name, (wall, processor) in times.items()]


def _timed(words: list[str]) -> tuple[str, float, float]:
    """What Python prints for such arguments, and the wall and processor seconds of the process and its children."""
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run([sys.executable, *words], check=True, stdout=subprocess.PIPE, text=True, cwd=ROOT.parent)
    after, wall = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter() - begun
    return done.stdout, wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def timed_calls(settings: Settings, unit: Unit) -> None:
    """Find the best text of a target twice, and print the wall and processor seconds of each time; the import of torch is not counted."""
    source, asked = str(model_source(settings.model)), {"by": unit["method"], "budget": unit["budget"], "length": settings.length}
    for _ in range(2):
        wall, processor = time.perf_counter(), time.process_time()
        optigram.find(source, unit["site"], corpus=settings.corpus[0] if settings.corpus else None, quiet=True, **asked)
        print(time.perf_counter() - wall, time.process_time() - processor)


def sparse_setup(settings: Settings) -> tuple[Objective, Mapping[str, Ascent]]:
    """The objective, its vocabulary filled up to the option `words`, and the dense and sparse methods."""
    model, _ = shortlist_setup(settings)
    return objective_of(model, "language", settings.targets, settings.length), shortlists(settings, settings.budgets[0])


def sparse_parts(context: tuple[Objective, Mapping[str, Ascent]], unit: Unit, seed: int) -> list[Result]:
    """The parts of a step of dense and sparse gumbel, as shares of the dense step; the model's own passes are what none can leave out."""
    objective, methods = context
    found = {name: _parts(objective, method, seed) for name, method in methods.items()}
    whole = sum(found[DENSE].values())
    vocabulary = len(objective.lexicon)
    return [
        Result(
            {part: value / whole for part, value in row.items()} | {"step": sum(row.values()) / whole},
            settings={"method": name, "vocabulary": vocabulary},
        )
        for name, row in found.items()
    ]


def _parts(objective: Objective, method: Ascent, seed: int) -> dict[str, float]:
    """Seconds per neuron of each part of a step, in a batch of the method's size."""
    size, relaxation = min(method.batch or 1, len(objective.targets)), method.relaxation
    assert isinstance(relaxation, Gumbel)
    part = objective.subset(range(size))
    streams = Streams(seed, [target.key for target in part.targets], method.restarts, part.device)
    words = None if method.shortlist is None else Shortlist.of(part, streams, method.shortlist, None)
    table = part.table if words is None else words.table(part.table)
    theta = relaxation.start(streams, part.length, table).requires_grad_()
    optimizer = torch.optim.AdamW([theta], lr=method.rate, weight_decay=0.0, fused=True)
    still = theta.detach()
    embeds = relaxation.soften(theta, table, 0, streams).embeds
    leaf = embeds.detach().requires_grad_()
    value = part.relax(SoftText(leaf, None)).value.sum()
    (slope,) = torch.autograd.grad(value, leaf, retain_graph=True)
    embeds.backward(slope, retain_graph=True)
    looked = part.lexicon[:1].expand(size, method.restarts * (1 + relaxation.draws), part.length).contiguous()
    noise = least(lambda: relaxation.noisy(still, streams))
    soften = least(lambda: relaxation.soften(still, table, 0, streams))
    found = {
        "model": least(lambda: part.relax(SoftText(leaf, None))) + least(lambda: torch.autograd.grad(value, leaf, retain_graph=True)),
        "noise": noise,
        "mixture": soften - noise + least(lambda: embeds.backward(slope, retain_graph=True)),
        "adam": least(optimizer.step),
        "proposals": (least(lambda: relaxation.harden(still, table, streams)) + least(lambda: part.score(looked))) / method.every,
        "shortlist": 0.0,
    }
    if words is not None:
        found["shortlist"] = least(functools.partial(Shortlist.of, part, streams, method.shortlist or 0, None), 2) / method.steps
    return {name: max(seconds, 0.0) / size for name, seconds in found.items()}
