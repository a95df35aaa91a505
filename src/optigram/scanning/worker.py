"""A worker holds the model, and reads one shard of a plan after another, each to one file."""

import functools
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from optigram.engine.imports import refuse_imports
from optigram.engine.job import Job
from optigram.errors import InputError
from optigram.files import writable_folder
from optigram.models.base import Model
from optigram.models.loading import load
from optigram.scanning.activations import ActivationReader
from optigram.scanning.chunks import Chunk, ReadSettings
from optigram.scanning.in_context import InContextScan
from optigram.scanning.ngrams import NgramScan
from optigram.scanning.plan import PARTS, Plan
from optigram.scanning.prefetch import prefetch
from optigram.scanning.state import State
from optigram.targets.target import Target, resolve
from optigram.text.documents import Document
from optigram.text.formats import Part
from optigram.text.hub import HUB
from optigram.text.sources import changed

Watch = Callable[[float], None]  # called with the share of a shard that has been read


class Worker:
    """A plan, the model and the targets, which are those of the plan by default.

    At most `batch` texts wait for one another; `tokenizers` processes tokenize ahead of the model (0: a thread).
    """

    plan: Plan
    model: Model
    tokenizers: int
    batch: int | None
    targets: tuple[Target, ...]
    read_settings: ReadSettings

    def __init__(
        self, plan: Plan, model: Model, tokenizers: int = 0, batch: int | None = None, targets: Sequence[Target] | None = None
    ) -> None:
        self.plan, self.model, self.tokenizers, self.batch = plan, model, tokenizers, batch
        self.targets = resolve(plan.targets, model) if targets is None else tuple(targets)
        settings = plan.settings
        self.read_settings = ReadSettings.of(model.vocabulary, settings.context, settings.skipped, settings.special)

    @classmethod
    def start(
        cls, folder: Path, device: str | None = None, tokenizers: int = 0, batch: int | None = None, allow_imports: bool = False
    ) -> "Worker":
        """Load the model of the plan in a folder. Raises InputError if its weights differ from those of the plan.

        A plan that names code by an import path is refused too, unless `allow_imports`: it may come from somebody else.
        """
        plan = Plan.read(folder)
        if not allow_imports:
            refuse_imports(folder, [plan.model], plan.targets)
        model = load(plan.model, device=device, dtype=None if plan.dtype == "saved" else plan.dtype)
        if model.fingerprint != plan.mark:
            raise InputError(
                f"{plan.model!r} has other weights here than when the scan was planned; load the same, or plan anew in another folder"
            )
        return cls(plan, model, tokenizers, batch)

    @classmethod
    def job(
        cls, folder: Path, device: str = "cpu", tokenizers: int = 0, batch: int | None = None, allow_imports: bool = False
    ) -> "Job[Worker, int]":
        """The job that reads the shards of the plan in a folder, for any engine; `allow_imports` as in `start`."""
        build = functools.partial(cls.start, folder, device, tokenizers, batch, allow_imports)
        return Job(build, functools.partial(_write_shard, folder))

    def read(self, shard: int, watch: Watch = lambda share: None) -> State:
        """The state after a shard. Raises InputError if its files have changed, or cannot be read."""
        begun, plan = time.perf_counter(), self.plan
        for source in {plan.sources[part.source] for part in plan.shards[shard]}:
            if source.kind != HUB and not Path(source.path).exists():
                raise InputError(
                    f"{source.path} is not there; put it back, or give its new place: `optigram scan ... --corpus` with this --out"
                )
            if changed(source):
                raise InputError(f"{source.path} is not what it was when the scan was planned; put it back, or plan anew in another folder")
        skipped: list[str] = []
        texts = _Texts(plan, plan.shards[shard], skipped.append if plan.skip_bad else _refuse)
        if plan.settings.question == "alone":
            scanned = NgramScan(self.model, self.targets, plan.settings)
            steps = scanned.take(texts)
        else:
            scanned = InContextScan(self.model, ActivationReader.of(self.model, self.targets), plan.settings, self.batch)
            steps = scanned.take(self._chunks(texts))
        tokens = 0
        for taken in steps:
            tokens += taken
            watch(texts.share)
        top, bottom = scanned.ends[1].top_places, scanned.ends[-1].top_places
        names = tuple(map(str, scanned.targets))
        seconds = time.perf_counter() - begun
        return State(plan.key, names, (shard,), top, bottom, scanned.statistics, texts.count, tokens, tuple(skipped), seconds)

    def write(self, folder: Path, shard: int, watch: Watch = lambda share: None) -> None:
        """Read a shard and write its file, whole."""
        writable_folder(folder / PARTS)
        self.read(shard, watch).write(self.plan.part(folder, shard))

    def _chunks(self, texts: Iterable[Document]) -> Iterator[list[Chunk]]:
        return prefetch(texts, self.model.vocabulary, self.read_settings, self.tokenizers)


class _Texts:
    """The documents of a shard. `count` is how many were read, `share` about how much of the shard."""

    def __init__(self, plan: Plan, shard: Sequence[Part], tell: Callable[[str], None]) -> None:
        self.plan, self.shard, self.tell, self.count, self.share = plan, shard, tell, 0, 0.0

    def __iter__(self) -> Iterator[Document]:
        sizes = [max(part.end - part.begin, 1) for part in self.shard]
        before, whole = 0, sum(sizes)
        for part, size in zip(self.shard, sizes, strict=True):
            for text in Document.all_of(self.plan.sources, part, self.tell):
                self.count += 1
                self.share = (before + min(Document.place_of(text.number)[1] - part.begin, size)) / whole
                yield text
            before += size


def _refuse(bad: str) -> None:
    raise InputError(f"cannot read {bad}; repair or remove it, or skip it with --skip-bad (skip_bad=True in Python)")


def _write_shard(folder: Path, worker: Worker, shard: int) -> None:
    worker.write(folder, shard)
