"""`scan`: plan, read and merge in one call."""

import contextlib
import functools
import json
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from optigram.engine import processes
from optigram.engine.job import Engine, Job
from optigram.engine.launch import Place
from optigram.engine.progress import progress, shown, tell
from optigram.errors import InputError
from optigram.files import versions, writable_folder, written_whole
from optigram.models.base import Model
from optigram.models.lengths import check_length
from optigram.models.loading import BUNDLED, CAPTIONS, bundled, load
from optigram.models.sampling import sample_texts
from optigram.scanning.activations import ActivationReader
from optigram.scanning.merge import Show, merged, publish
from optigram.scanning.plan import PARTS, Plan, ScanSettings
from optigram.scanning.results import ScanTables
from optigram.scanning.worker import Worker
from optigram.targets.target import Target, resolve
from optigram.text.documents import Document
from optigram.text.formats import Source
from optigram.text.shards import shards as split
from optigram.text.sources import Corpus, open_corpus, sampled_count

SHARD = 1 << 26  # bytes of text in a shard by default
ALONE = Place()
HERE: Engine = functools.partial(processes.run, workers=0)


def scan(
    model: Any,
    targets: str | Target | Iterable[str | Target],
    corpus: Any = None,
    *,
    column: str | None = None,
    out: Path | str | None = None,
    shards: int | None = None,
    skip_bad: bool = False,
    device: str | None = None,
    tokenizer: Any = None,
    quiet: bool | None = None,
    **asked: Any,
) -> ScanTables:
    """The best places of many targets in a corpus, found in one pass in this process.

    `asked` are fields of `ScanSettings`; the other arguments are those of `optigram.scan`. Raises InputError.
    """
    network = _loaded(model, device, tokenizer)
    settings = ScanSettings.for_model(network, **asked)
    _check(out, shards)
    chosen = _chosen(network, targets)
    name = model if isinstance(model, str) else network.name
    texts = None if corpus is None else _texts(network, corpus, column, settings.seed)
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()) if out is None else out)
        for remark in texts.remarks if texts is not None and shown(quiet) else ():
            tell(remark)
        plan = plan_of(network, name, chosen, texts, settings, folder, shards, skip_bad=skip_bad)
        show = stack.enter_context(progress(quiet))
        return run_scan(Worker(plan, network, targets=chosen), folder, show)


def plan_of(
    model: Model,
    name: str,
    targets: Sequence[Target],
    corpus: Corpus | None,
    settings: ScanSettings,
    folder: Path | None = None,
    count: int | None = None,
    dtype: str = "saved",
    skip_bad: bool = False,
) -> Plan:
    """The plan of a scan in `count` shards, or in as many as have 64 MB of text each, once everything that is asked for was checked.

    `name` and `dtype` are the arguments of `load` that give the model. Texts in memory are written to `folder`. Raises InputError for
    what the model or the corpus does not have.
    """
    if settings.question == "context":
        _try_context(model, ActivationReader.of(model, targets).sites, settings)
    if corpus is None:
        if name != BUNDLED:
            raise InputError("expected a corpus; give --corpus FILE (corpus= in Python)")
        corpus = open_corpus(bundled() / CAPTIONS)
    known = corpus.sources if folder is None else _on_disk(corpus, folder)
    _refuse_empty(known, corpus.name)
    addresses = tuple(map(str, targets))
    return Plan(name, dtype, model.fingerprint, addresses, settings, known, split(known, count, SHARD), skip_bad, versions())


def run_scan(
    worker: Worker, folder: Path, show: Show = lambda done, of, what: None, engine: Engine | None = None, job: Job | None = None
) -> ScanTables:
    """Read the shards that are missing in a folder, and merge all. Without a `job` this worker reads them."""
    seen: tuple[float, int] = 0, 1

    def shown(done: float, of: int, what: str) -> None:
        nonlocal seen
        seen = done, of
        show(done, of, what)

    def read(worker: Worker, shard: int) -> None:
        worker.write(folder, shard, lambda share: show(seen[0] + share, seen[1], "shards"))

    for _ in run_shards(worker.plan, folder, job or Job(lambda: worker, read), engine or HERE, shown):
        pass
    publish(merged(worker.plan, folder), worker, folder, show)
    return ScanTables.load(folder)


def run_shards(plan: Plan, folder: Path, job: Job, engine: Engine, show: Show, place: Place = ALONE) -> Iterator[int]:
    """Read the missing shards, or those of them that belong to a rank and world size; each is yielded when its file is there."""
    writable_folder(folder / PARTS)
    plan.write(folder)
    mine, missing = place.share(range(len(plan.shards))), set(plan.missing(folder))
    todo = [shard for shard in mine if shard in missing]
    done = len(mine) - len(todo)
    show(done, len(mine), "shards")
    for shard in engine(job, todo):
        done += 1
        show(done, len(mine), "shards")
        yield shard


def _loaded(model: Any, device: str | None, tokenizer: Any) -> Model:
    if isinstance(model, str | Path) and device is None:
        device = "cuda" if torch.cuda.is_available() else "cpu"
    given = {"device": device, "tokenizer": tokenizer}
    return load(model, **{name: value for name, value in given.items() if value is not None})


def _chosen(model: Model, targets: str | Target | Iterable[str | Target]) -> tuple[Target, ...]:
    """The targets, each once, in order."""
    if not isinstance(targets, Iterable) and not isinstance(targets, Target):
        raise InputError(f"expected addresses or targets, such as 'mlp_act.5:137', got {type(targets).__name__}")
    given = [targets] if isinstance(targets, str | Target) else list(targets)
    found: dict[Target, None] = {}
    for target in given:
        if not isinstance(target, str | Target):
            raise InputError(f"expected addresses or targets, such as 'mlp_act.5:137', got {type(target).__name__}")
        found |= dict.fromkeys([target] if isinstance(target, Target) else resolve([target], model))
    return tuple(found) or resolve([], model)


def _texts(model: Model, corpus: Any, column: str | None, seed: int) -> Corpus:
    count = sampled_count(corpus)
    if count is None:
        return open_corpus(corpus, column)
    return Corpus(f"{count:,} texts sampled from the model (seed {seed})", held=tuple(sample_texts(model, count, seed)))


def _check(out: Any, shards: Any) -> None:
    if not isinstance(out, str | Path | None):
        raise InputError(f"expected a folder as out, got {type(out).__name__}")
    if shards is not None and (not isinstance(shards, int) or isinstance(shards, bool) or shards < 1):
        raise InputError(f"expected at least 1 shard, a whole number, got {shards!r}")


def _on_disk(corpus: Corpus, folder: Path) -> tuple[Source, ...]:
    """The sources; texts in memory are first written to a JSON-lines file in `folder`, which is named by their fingerprint."""
    if corpus.sources:
        return corpus.sources
    path = folder / f"texts-{corpus.fingerprint[:16]}.jsonl"
    if not path.exists():
        with written_whole(path) as temporary, temporary.open("w", encoding="utf-8") as file:
            file.writelines(json.dumps({"text": text}) + "\n" for text in corpus.texts())
    return Corpus.of([str(path)]).sources


def _refuse_empty(known: Sequence[Source], name: str) -> None:
    """Raise InputError if a corpus has no text, or not the column that is asked for. What cannot be read counts as text here."""
    bad: list[str] = []
    for part in split(known, 1, 1)[0]:
        if next(Document.all_of(known, part, bad.append), None) is not None or bad:
            return
    raise InputError(f"the corpus {name!r} is empty; give at least one text")


def _try_context(model: Model, sites: Sequence[str], settings: ScanSettings) -> None:
    """Read one text of the greatest length, so that a model that cannot is found out before the work."""
    around = len(model.vocabulary.prefix) + len(model.vocabulary.suffix)
    if settings.context <= around + settings.skipped:
        raise InputError(
            f"a context of {settings.context} tokens has no room beside what the model expects around a text; give a larger one"
        )
    check_length(model, sites, settings.context, "give a smaller --context")
