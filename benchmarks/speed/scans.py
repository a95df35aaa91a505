"""Scans: speed against the bare forward, memory, keeping all activations, and what 10 billion tokens would take."""

import itertools
import multiprocessing
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from benchmarks.setup import Result, Settings, Unit, least, open_corpus, open_model, targets_at
from torch.utils.flop_counter import FlopCounterMode

from optigram.models.base import Model
from optigram.models.imaginet import Imaginet, Sizes
from optigram.models.loading import save
from optigram.scanning.activations import ActivationReader
from optigram.scanning.chunks import Chunk, Queue, ReadSettings
from optigram.scanning.forward import Forward
from optigram.scanning.in_context import InContextScan
from optigram.scanning.plan import ScanSettings
from optigram.scanning.scan import scan
from optigram.scanning.statistics import Statistics
from optigram.scanning.top_places import TopPlaces
from optigram.text.documents import Document

ABOVE = 1e-5  # what is kept where everything is kept, as in delphi
WORDS = 2000  # of the model whose memory is measured
TOKENS, LETTERS, CONTEXT = 10_000_000_000, 4, 256  # of the large scan; bytes of text per token; tokens read at a time
SIDE = 1024  # of the matrices whose product is timed


@dataclass(frozen=True)
class Scan:
    """All units of some sites, and the chunks of a corpus: the first documents, at which nearly every place is kept, and the rest."""

    model: Model
    reader: ActivationReader
    settings: ScanSettings
    first: list[Chunk]
    rest: list[Chunk]

    def forward(self) -> Forward:
        """The truncated forward."""
        return Forward(self.model, self.reader.sites)

    def bare(self, forward: Forward, chunks: list[Chunk], see: Callable[..., None] = lambda part, states: None) -> int:
        """The forwards of a scan in the same batches, and nothing else; the number of positions that count."""
        queue, taken = Queue(self.settings.tokens, forward.spare), 0
        with torch.inference_mode():
            full = (made for chunk in chunks if (made := queue.put(chunk)) is not None)
            for width, some in itertools.chain(full, queue.rest()):
                for part, states in forward.run(some, width, queue.rows(width)):
                    see(part, states)
                    taken += sum(int(chunk.counted.sum()) for chunk in part)
        return taken


def setup(settings: Settings) -> Scan:
    """Open the model, and cut the corpus into chunks; the option `before` says how many documents come first."""
    model, how = open_model(settings.model), ScanSettings(context=128)
    reader = ActivationReader.of(model, targets_at(model, [f"{site}:*" for site in settings.sites]))
    documents = [Document(number, text) for number, text in enumerate(open_corpus(model, settings).texts())]
    chunks = ReadSettings.of(model.vocabulary, how.context, how.skipped, how.special).read(documents, model.vocabulary)
    before = settings.option("before", 600)
    return Scan(model, reader, how, [c for c in chunks if c.document < before], [c for c in chunks if c.document >= before])


def speed(context: Scan, unit: Unit, seed: int) -> list[Result]:
    """Tokens per second of a scan of all units, to those of the bare forward: at the first documents and after them.

    Both take turns, a few chunks at a time, so that what else the machine does weighs on both alike.
    """
    forward, whole = context.forward(), InContextScan(context.model, context.reader, context.settings)
    context.bare(forward, context.first[:64])
    results = []
    for name, chunks in (("the first documents", context.first), ("after them", context.rest)):
        turns, begun = _Turns(context, forward), time.process_time()
        tokens = sum(whole.take(turns.of(chunks)))
        bare, scanned = turns.seconds, time.process_time() - begun - turns.seconds
        metrics = {"ratio": bare / scanned, "bare": tokens / bare, "scan": tokens / scanned, "tokens": tokens}
        results.append(Result(metrics | {"neurons": len(context.reader.targets)}, settings={"documents": name}))
    return results


class _Turns:
    """Chunks, each of which the bare forward reads before it is given on, in batches like those of a scan; and its processor seconds."""

    def __init__(self, context: Scan, forward: Forward) -> None:
        self.forward, self.queue, self.seconds = forward, Queue(context.settings.tokens, forward.spare), 0.0

    def of(self, chunks: list[Chunk]) -> Iterator[list[Chunk]]:
        """The chunks, one by one."""
        for chunk in chunks:
            if (full := self.queue.put(chunk)) is not None:
                self._read(*full)
            yield [chunk]
        for width, rest in self.queue.rest():
            self._read(width, rest)

    def _read(self, width: int, chunks: list[Chunk]) -> None:
        begun = time.process_time()
        for _ in self.forward.run(chunks, width, self.queue.rows(width)):
            pass
        self.seconds += time.process_time() - begun


def memory_units(settings: Settings) -> Iterator[Unit]:
    """A unit per size of the corpus."""
    yield from ({"megabytes": float(size)} for size in settings.option("megabytes", "10,100").split(","))


def memory(settings: Settings, unit: Unit, seed: int) -> list[Result]:
    """The largest memory of a process that scans a corpus of so many megabytes, with a tiny model, so that reading dominates."""
    with tempfile.TemporaryDirectory() as folder, multiprocessing.get_context("spawn").Pool(1) as pool:
        peak, tokens, seconds = pool.apply(_scan_once, (folder, unit["megabytes"]))
    return [Result({"peak": peak / 1024, "tokens": tokens, "seconds": seconds})]


def _scan_once(folder: str, size: float) -> tuple[float, int, float]:
    torch.set_num_threads(1)
    words = tuple(f"w{number}" for number in range(WORDS))
    save(Imaginet(words, (), Sizes(8, 8, 8)), Path(folder) / "model", {})
    rng, path = np.random.default_rng(0), Path(folder) / "corpus.txt"
    block = "".join(" ".join(words[i] for i in rng.integers(0, WORDS, rng.integers(20, 400))) + "\n" for _ in range(100))
    with path.open("w", encoding="utf-8") as file:
        for _ in range(int(size * (1 << 20)) // len(block) + 1):
            file.write(block)
    begun = time.perf_counter()
    shards = max(int(size) // 64, 1)
    found = scan(
        str(Path(folder) / "model"),
        ["language.hidden:*", "visual.hidden:*"],
        str(path),
        skipped=0,
        tokens=16384,
        context=256,
        sample=100,
        shards=shards,
    )
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, found.about["tokens"], time.perf_counter() - begun


def caching(context: Scan, unit: Unit, seed: int) -> list[Result]:
    """A scan against keeping every activation and sorting afterwards; both must find the same places."""
    found, results = [], []
    for name, run in (("scan", _scanned), ("all activations kept", _kept_all)):
        with multiprocessing.get_context("fork").Pool(1) as pool:
            scores, peak, seconds = pool.apply(run, (context,))
        found.append(np.where(scores > ABOVE, scores, 0))
        results.append(Result({"seconds": seconds, "peak": peak / 1024}, settings={"what": name}))
    assert np.array_equal(*found), "the scan and the sorted activations differ"
    return results


def _scanned(context: Scan) -> tuple[np.ndarray, float, float]:
    begun, settings = time.process_time(), context.settings
    whole = InContextScan(context.model, context.reader, ScanSettings(context=settings.context, tokens=settings.tokens, fold=0))
    list(whole.take([context.first + context.rest]))
    return whole.ends[1].top_places.score, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time() - begun


def _kept_all(context: Scan) -> tuple[np.ndarray, float, float]:
    """Activations that are not nearly 0 are kept with their places; afterwards each target's are sorted."""
    begun, kept = time.process_time(), []

    def see(part: list[Chunk], states: dict[str, torch.Tensor]) -> None:
        values = torch.cat([each.values(states) for each in context.reader.parts], dim=-1)
        counted = torch.zeros(values.shape[:2], dtype=torch.bool)
        for row, chunk in enumerate(part):
            counted[row, : len(chunk.ids)] = torch.from_numpy(chunk.counted)
        row, place, target = torch.nonzero((values.abs() > ABOVE) & counted[..., None], as_tuple=True)
        kept.append((torch.tensor([chunk.document for chunk in part])[row], target, values[row, place, target]))

    context.bare(context.forward(), context.first + context.rest, see)
    document, target, value = (torch.cat(parts).numpy() for parts in zip(*kept, strict=True))
    scores = np.full((len(context.reader.targets), context.settings.top), -np.inf, np.float32)
    order = np.argsort(target, kind="stable")
    for number, (first, last) in enumerate(itertools.pairwise(np.searchsorted(target[order], np.arange(len(scores) + 1)))):
        ranked = order[first:last][np.argsort(-value[order[first:last]], kind="stable")]
        _, once = np.unique(document[ranked], return_index=True)
        best = value[ranked[np.sort(once)[: scores.shape[1]]]]
        scores[number, : len(best)] = best
    return scores, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time() - begun


@dataclass(frozen=True)
class Network:
    """A transformer by its sizes: `keys` is the width of keys and of values, `matrices` those of an MLP."""

    name: str
    layers: int
    width: int
    keys: int
    neurons: int
    matrices: int

    def operations(self) -> int:
        """Operations per token: two per weight of the blocks, and attention over a whole context."""
        weights = self.layers * (2 * self.width * (self.width + self.keys) + self.matrices * self.width * self.neurons)
        return 2 * weights + 4 * CONTEXT * self.width * self.layers


NETWORKS = (Network("GPT-2 small", 12, 768, 768, 3072, 2), Network("8 billion (Llama 3.1)", 32, 4096, 1024, 14336, 3))


def capacity_setup(settings: Settings) -> tuple[Scan, Settings]:
    """The scan whose rates are measured; the options `product`, `devices` and `price` say what the wanted device can do."""
    return setup(settings), settings


def capacity(context: tuple[Scan, Settings], unit: Unit, seed: int) -> list[Result]:
    """What a scan of all MLP neurons over 10 billion tokens would take: arithmetic, from rates measured on one thread.

    Assumed, not measured: the operations per second of a large product on the device, that forwards reach the same share of it, the price.
    """
    measured, settings = context
    product, forward, looks = _rates(measured)
    device_product, devices, price = settings.option("product", 600e12), settings.option("devices", 8), settings.option("price", 3.0)
    results, state = [], state_bytes(ScanSettings())
    for network in NETWORKS:
        neurons, operations = network.layers * network.neurons, network.operations() * TOKENS
        hours = operations / (forward / product * device_product) / 3600
        metrics: dict[str, Any] = {
            "neurons": neurons,
            "operations": operations,
            "looks": TOKENS * neurons,
            "text": TOKENS * LETTERS / 1e9,
            "state": neurons * state / 1e6,
            "core_years": (operations / forward + TOKENS * neurons / looks) / 86400 / 365,
            "device_hours": hours,
            "node_hours": hours / devices,
            "cost": hours * price,
            "share": forward / product,
        }
        results.append(Result(metrics, settings={"network": network.name}))
    return results


def _rates(context: Scan) -> tuple[float, float, float]:
    """Operations per second of a large product and of a scan's forwards; activations per second that a scan examines."""
    one, two = torch.randn(2, SIDE, SIDE)
    product = 2 * SIDE**3 / least(lambda: torch.matmul(one, two), 12)
    forward, whole = context.forward(), InContextScan(context.model, context.reader, context.settings)
    list(whole.take([context.first]))
    with FlopCounterMode(display=False) as counter:
        tokens = context.bare(forward, context.rest)
    bare = least(lambda: context.bare(forward, context.rest), 1)
    scanned = least(lambda: list(whole.take([context.rest])), 1)
    extra = max(scanned - bare, 0.02 * scanned)  # less cannot be told from noise
    return product, counter.get_total_flops() / bare, tokens * len(context.reader.targets) / extra


def state_bytes(settings: ScanSettings) -> int:
    """Bytes per target of the state of a scan whose sample is full, from the arrays themselves."""
    statistics, places = Statistics.empty(1), TopPlaces.empty(1, settings.top)
    arrays = [statistics.sums, statistics.histogram, statistics.best, *(2 * [*vars(places).values()])]
    return sum(array.nbytes for array in arrays) + 4 * settings.sample
