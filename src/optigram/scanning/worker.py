"""Work: one shard of a plan, read by a worker that holds the model, to one file."""

import functools
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from optigram.engine.job import Job
from optigram.errors import InputError
from optigram.files import writable_folder
from optigram.models.base import Model, model_fingerprint
from optigram.models.loading import load
from optigram.scanning.activations import activation_reader
from optigram.scanning.chunks import read_settings
from optigram.scanning.in_context import InContextScan
from optigram.scanning.ngrams import NgramScan
from optigram.scanning.plan import PARTS, Plan, read_plan
from optigram.scanning.prefetch import prefetch
from optigram.scanning.state import State, write_state
from optigram.targets.target import Target, resolve
from optigram.text.documents import Document, documents, refuse
from optigram.text.sources import changed


class Worker:
    """A worker's model and targets. `batch` texts wait for one another; `tokenizers` processes tokenise ahead (0: a thread)."""

    def __init__(self, plan: Plan, model: Model, tokenizers: int = 0, batch: int | None = None):
        self.plan, self.model, self.tokenizers, self.batch = plan, model, tokenizers, batch
        self.targets: tuple[Target, ...] = resolve(plan.targets, model)

    def read(self, shard: int, watch: Callable[[int], None] = lambda tokens: None) -> State:
        """What is known after a shard. Raises InputError if its files have changed, or cannot be read."""
        begun, plan = time.perf_counter(), self.plan
        for source in {plan.sources[part.source] for part in plan.shards[shard]}:
            if changed(source):
                raise InputError(f"{source.path} is not what it was when the scan was planned; put it back, or plan anew in another folder")
        skipped: list[str] = []
        counter = _Counted(
            text for part in plan.shards[shard] for text in documents(plan.sources, part, skipped.append if plan.skip_bad else refuse)
        )
        scan_pass = self._scan_pass()
        with_pieces = scan_pass.take(counter) if isinstance(scan_pass, NgramScan) else scan_pass.take(self._chunks(counter))
        tokens = 0
        for taken in with_pieces:
            tokens += taken
            watch(tokens)
        top, bottom = scan_pass.ends[1].top_places, scan_pass.ends[-1].top_places
        names = tuple(map(str, scan_pass.targets))
        seconds = time.perf_counter() - begun
        return State(plan.key, names, (shard,), top, bottom, scan_pass.statistics, counter.count, tokens, tuple(skipped), seconds)

    def _scan_pass(self) -> "InContextScan | NgramScan":
        if self.plan.settings.question == "alone":
            return NgramScan(self.model, self.targets, self.plan.settings)
        return InContextScan(self.model, activation_reader(self.model, self.targets), self.plan.settings, self.batch)

    def _chunks(self, texts: Iterable[Document]) -> Iterator[list]:
        settings = self.plan.settings
        how = read_settings(self.model.vocabulary, settings.context, settings.skipped, settings.special)
        return prefetch(texts, self.model.vocabulary, how, self.tokenizers)


class _Counted:
    """Documents on their way, counted."""

    def __init__(self, texts: Iterable[Document]):
        self.texts, self.count = texts, 0

    def __iter__(self) -> Iterator[Document]:
        for text in self.texts:
            self.count += 1
            yield text


def job_of(folder: Path, device: str = "cpu", tokenizers: int = 0, batch: int | None = None) -> Job[Worker, int]:
    """How the shards of the plan in a folder are read, by whatever engine."""
    return Job(functools.partial(start_worker, folder, device, tokenizers, batch), functools.partial(read_shard, folder))


def start_worker(folder: Path, device: str, tokenizers: int, batch: int | None) -> Worker:
    """Load the model of the plan in a folder. Raises InputError if its weights are others."""
    plan = read_plan(folder)
    model = load(plan.model, device, None if plan.dtype == "saved" else plan.dtype)
    if model_fingerprint(model) != plan.mark:
        raise InputError(
            f"{plan.model!r} has other weights here than when the scan was planned; load the same, or plan anew in another folder"
        )
    return Worker(plan, model, tokenizers, batch)


def read_shard(folder: Path, worker: Worker, shard: int) -> None:
    """Read a shard and write its file, whole."""
    writable_folder(folder / PARTS)
    write_state(worker.read(shard), worker.plan.part(folder, shard))
