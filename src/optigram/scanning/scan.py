"""`scan`: the whole of it in one call: plan, work, merge."""

import dataclasses
import functools
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch

from optigram.engine import local
from optigram.engine.job import Engine, Job
from optigram.engine.launch import share
from optigram.errors import InputError
from optigram.files import versions, writable_folder
from optigram.models.base import Model, model_fingerprint
from optigram.models.loading import BUNDLED, CAPTIONS, bundled, load
from optigram.scanning.activations import activation_reader
from optigram.scanning.merge import merged, publish
from optigram.scanning.plan import MANY_TOKENS, PARTS, Plan, ScanSettings, write_plan
from optigram.scanning.results import ScanResults
from optigram.scanning.worker import Worker, read_shard
from optigram.targets.target import Target, resolve
from optigram.text.sources import shards, sources

SHARD = 1 << 26  # bytes of text in a shard, if nothing else is asked for

Show = Callable[[int, int, str], None]


def plan_of(
    model: Model,
    name: str,
    targets: Sequence[str],
    corpora: Sequence[str],
    settings: ScanSettings,
    count: int | None = None,
    dtype: str = "saved",
    skip_bad: bool = False,
) -> Plan:
    """The plan of a scan in `count` shards, or in as many as have 64 MB of text each; all that is asked for is looked at.

    Raises InputError for what the model or the corpus cannot give.
    """
    found = resolve(targets, model)
    if settings.question == "context":
        _try_context(model, activation_reader(model, found).sites, settings)
    known = sources(corpora or ([str(bundled() / CAPTIONS)] if name == BUNDLED else []))
    mark = model_fingerprint(model)
    return Plan(name, dtype, mark, tuple(targets), settings, known, shards(known, count, SHARD), skip_bad, versions())


def settings_for(settings: ScanSettings, model: Model) -> ScanSettings:
    """Settings with what depends on the model: no position is an attention sink in a recurrent one, and a GPU wants large forwards."""
    settings = settings if model.attends else dataclasses.replace(settings, skipped=0)
    return settings if model.embedding.device.type == "cpu" else dataclasses.replace(settings, tokens=MANY_TOKENS)


def scan(
    model: Model | str,
    targets: Sequence[str] | Sequence[Target],
    corpus: str | Sequence[str] = (),
    settings: ScanSettings | None = None,
    out: Path | str | None = None,
    count: int | None = None,
    skip_bad: bool = False,
) -> ScanResults:
    """The best places of many targets in a corpus, found in one pass in this process; `out` keeps them, and goes on with what it holds.

    `corpus` are files, globs or `hf:NAME`; `count` is the number of shards. Raises InputError.
    """
    network = load(model) if isinstance(model, str) else model
    asked = settings or settings_for(ScanSettings(), network)
    corpora = [corpus] if isinstance(corpus, str) else list(corpus)
    plan = plan_of(network, network.name, list(map(str, targets)), corpora, asked, count, skip_bad=skip_bad)
    if out is not None:
        return run_scan(plan, network, Path(out))
    with tempfile.TemporaryDirectory() as folder:
        return run_scan(plan, network, Path(folder))


def run_scan(
    plan: Plan,
    model: Model,
    folder: Path,
    show: Show = lambda done, of, what: None,
    engine: Engine = local.run,
    job: Job | None = None,
) -> ScanResults:
    """Read the shards that are missing in a folder, and merge all. Without a `job` they are read with the model at hand."""
    job = job or Job(functools.partial(Worker, plan, model), functools.partial(read_shard, folder))
    for _ in run_shards(plan, folder, job, engine, show):
        pass
    publish(plan, merged(plan, folder), model, folder, show)
    return ScanResults.load(folder)


def run_shards(plan: Plan, folder: Path, job: Job, engine: Engine, show: Show, place: tuple[int, int] = (0, 1)) -> Iterator[int]:
    """Read the shards that are missing, or those of them that fall to a rank and world; each is yielded when its file is there."""
    writable_folder(folder / PARTS)
    write_plan(plan, folder)
    mine, missing = share(range(len(plan.shards)), *place), set(plan.missing(folder))
    todo = [shard for shard in mine if shard in missing]
    done = len(mine) - len(todo)
    show(done, len(mine), "shards")
    for shard in engine(job, todo):
        done += 1
        show(done, len(mine), "shards")
        yield shard


def _try_context(model: Model, sites: Sequence[str], settings: ScanSettings) -> None:
    """Read one text of the longest kind, so that a model that cannot is known before the work."""
    around = len(model.vocabulary.prefix) + len(model.vocabulary.suffix)
    if settings.context <= around + settings.skipped:
        raise InputError(
            f"a context of {settings.context} tokens has no room beside what the model expects around a text; give a larger one"
        )
    ids = torch.zeros(1, settings.context, dtype=torch.int64, device=model.embedding.device)
    try:
        with torch.inference_mode():
            model.read(model.embedding[ids], sites)
    except (IndexError, RuntimeError) as error:
        raise InputError(f"{model.name} cannot read {settings.context} tokens ({str(error)[:80]}); give a smaller --context") from error
