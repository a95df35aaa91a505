"""Scans: speed against the bare forward, memory against the size of the corpus, shared prefixes, and keeping all activations.

python benchmarks/scan.py speed MODEL --corpus FILE [--sites mlp_act.0,mlp_act.2,mlp_act.5] [--before 1000] [--sentences 4000]
python benchmarks/scan.py memory [--megabytes 10,100,1000]
python benchmarks/scan.py ngrams MODEL --corpus FILE...
python benchmarks/scan.py collect MODEL --corpus FILE [--sites ...] [--sentences 2000]

MODEL is a folder, a GGUF file, imaginet, or small-gpt2: 6 layers of 256, random weights. What is compared runs by turns, on one thread.
"""

import argparse
import itertools
import multiprocessing
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from optigram import load, resolve, sentences
from optigram.models.base import Model
from optigram.models.imaginet import Imaginet, Sizes
from optigram.models.loading import save
from optigram.objective.objective import Objective
from optigram.scanning.activations import ActivationReader, activation_reader
from optigram.scanning.chunks import Chunk, Queue, read_documents, read_settings
from optigram.scanning.forward import Forward
from optigram.scanning.in_context import InContextScan
from optigram.scanning.ngrams import NgramScan
from optigram.scanning.plan import ScanSettings
from optigram.text.documents import Document

TURNS = 4
WARM = 64  # pieces that are read before anything is timed
ABOVE = 1e-5  # what is kept where everything is kept, as in delphi
WORDS = 2000  # of the model whose memory is measured


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("speed", "memory", "ngrams", "collect"))
    parser.add_argument("model", nargs="?", default="imaginet")
    parser.add_argument("--corpus", nargs="*", default=[])
    parser.add_argument("--sites", default="mlp_act.0,mlp_act.2,mlp_act.5")
    parser.add_argument("--sentences", type=int, default=4000)
    parser.add_argument("--before", type=int, default=1000)
    parser.add_argument("--tokens", type=int, default=512)
    parser.add_argument("--megabytes", default="10,100,1000")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    if asked.what == "memory":
        memory([int(size) for size in asked.megabytes.split(",")])
        return
    model = small_gpt2() if asked.model == "small-gpt2" else load(asked.model)
    limit = None if asked.what == "ngrams" else asked.sentences
    texts = [found.text for found in itertools.islice(itertools.chain(*map(sentences, asked.corpus)), limit)]
    if asked.what == "ngrams":
        ngrams(model, texts)
        return
    settings = ScanSettings(context=128, tokens=asked.tokens)
    panel = activation_reader(model, resolve([f"{site}:*" for site in asked.sites.split(",")], model))
    documents = [Document(number, text) for number, text in enumerate(texts)]
    pieces = read_documents(
        documents, model.vocabulary, read_settings(model.vocabulary, settings.context, settings.skipped, settings.special)
    )
    if asked.what == "speed":
        speed(model, panel, pieces, settings, asked.before)
    else:
        collect(model, panel, pieces, settings)


def small_gpt2() -> Model:
    """A GPT-2 of 6 layers of 256, with random weights and a vocabulary of bytes."""
    import transformers

    torch.manual_seed(0)
    config = transformers.GPT2Config(n_embd=256, n_layer=6, n_head=8, vocab_size=259, n_positions=512, bos_token_id=257, eos_token_id=257)
    return load(transformers.GPT2LMHeadModel(config).eval(), tokenizer=transformers.ByT5Tokenizer(extra_ids=0))


def bare(forward: Forward, pieces: list[Chunk], settings: ScanSettings, see: Callable[..., None] = lambda part, states: None) -> int:
    """The truncated forwards of a scan, in the same batches, and nothing else; gives the number of positions that count."""
    queue, taken = Queue(settings.tokens, forward.spare), 0
    with torch.inference_mode():
        full = (made for piece in pieces if (made := queue.put(piece)) is not None)
        for width, some in itertools.chain(full, queue.rest()):
            for part, states in forward.run(some, width, queue.rows(width)):
                see(part, states)
                taken += sum(int(piece.counted.sum()) for piece in part)
    return taken


def speed(model: Model, panel: ActivationReader, pieces: list[Chunk], settings: ScanSettings, before: int) -> None:
    """Tokens a second of a scan of all units of some sites, and of the bare forward; processor time, for others may use the machine.

    The first documents, of which nearly every place is among the best of some neuron, are told of by themselves.
    """
    forward, sweep, ratios = Forward(model, panel.sites), InContextScan(model, panel, settings), []
    bare(forward, pieces[:WARM], settings)
    rest = [piece for piece in pieces if piece.document >= before]
    size = -(-len(rest) // TURNS)
    parts = [[piece for piece in pieces if piece.document < before], *(rest[i : i + size] for i in range(0, len(rest), size))]
    for part in filter(None, parts):
        begun = time.process_time()
        tokens = bare(forward, part, settings)
        middle = time.process_time()
        assert sum(sweep.take([part])) == tokens
        ended = time.process_time()
        ratios.append((middle - begun) / (ended - middle))
        print(
            f"{tokens} tokens: bare {tokens / (middle - begun):.0f} a second, scan {tokens / (ended - middle):.0f}: {ratios[-1]:.3f}",
            flush=True,
        )
    print(
        f"the first {before} documents {ratios[0]:.3f}, after them median {statistics.median(ratios[1:]):.3f}, {len(panel.targets)} targets"
    )


def memory(sizes: list[int]) -> None:
    """The largest memory of a process that scans a corpus of so many megabytes, with a tiny model, so that reading dominates."""
    context = multiprocessing.get_context("spawn")
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder, context.Pool(1) as pool:
            peak, tokens, seconds = pool.apply(_scan_once, (folder, size))
            print(f"{size} MB, {tokens} tokens: peak {peak / 1024:.1f} MB, {seconds:.0f} s")


def _scan_once(folder: str, size: int) -> tuple[float, int, float]:
    from optigram.scanning.scan import scan

    torch.set_num_threads(1)
    words = tuple(f"w{number}" for number in range(WORDS))
    save(Imaginet(words, (), Sizes(8, 8, 8)), Path(folder) / "model", {})
    rng, path = np.random.default_rng(0), Path(folder) / "corpus.txt"
    block = "".join(" ".join(words[i] for i in rng.integers(0, WORDS, rng.integers(20, 400))) + "\n" for _ in range(1000))
    with path.open("w") as file:
        for _ in range((size << 20) // len(block) + 1):
            file.write(block)
    begun = time.perf_counter()
    settings = ScanSettings(skipped=0, tokens=16384, context=256, sample=100)
    found = scan(str(Path(folder) / "model"), ["language.hidden:*", "visual.hidden:*"], str(path), settings, count=max(size // 64, 1))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, found.about["tokens"], time.perf_counter() - begun


def ngrams(model: Model, texts: list[str]) -> None:
    """Every 5-gram alone: shared prefixes and unique n-grams, against reading every window from its first word."""
    targets = resolve(["visual:0-9", "language:100-109"], model)
    alone = NgramScan(model, targets, ScanSettings(question="alone", skipped=0))
    begun = time.perf_counter()
    list(alone.take(Document(number, text) for number, text in enumerate(texts)))
    seconds = time.perf_counter() - begun
    rows = [model.vocabulary.encode(text) for text in texts]
    grams, *_ = alone._windows(rows, np.array([len(row) for row in rows]))
    steps = float(alone.objective.cost.forwards[0]) * alone.settings.length
    print(f"{len(texts)} texts, {len(grams)} windows, {alone.statistics.count} unique: {steps:.0f} cell steps, {seconds:.1f} s")
    part = grams[:: max(len(grams) // 30000, 1)]
    objective, naive = Objective(model, targets, alone.settings.length), type(model).read
    assert naive is not None
    begun = time.perf_counter()
    with torch.no_grad():
        for some in torch.from_numpy(part).split(128):
            states = model.read(model.embedding[some], [part.sites[0] for part in objective._groups])
            for readout in objective._groups:
                readout.activations(states, None)
    whole = (time.perf_counter() - begun) * len(grams) / len(part)
    print(f"naive, every window from its first word ({len(part)} timed): {len(grams) * alone.settings.length} steps, {whole:.1f} s")
    print(f"ratio of steps {len(grams) * alone.settings.length / steps:.2f}, of time {whole / seconds:.2f}")


def collect(model: Model, panel: ActivationReader, pieces: list[Chunk], settings: ScanSettings) -> None:
    """A scan against keeping every activation and sorting afterwards, as caches of activations do; the same places must come out."""
    context = multiprocessing.get_context("fork")
    found = []
    for name, run in (("scan", _scanned), ("kept all", _kept_all)):
        with context.Pool(1) as pool:
            scores, peak, seconds = pool.apply(run, (model, panel, pieces, settings))
        found.append(np.where(scores > ABOVE, scores, 0))
        print(f"{name}: {seconds:.1f} s of processor, peak {peak / 1024:.0f} MB with the model")
    tokens, same = sum(int(piece.counted.sum()) for piece in pieces), np.array_equal(*found)
    print(f"the same scores above {ABOVE}: {same}; {len(panel.targets)} targets, {tokens} tokens")


def _scanned(model: Model, panel: ActivationReader, pieces: list[Chunk], settings: ScanSettings) -> tuple[np.ndarray, float, float]:
    begun = time.process_time()
    sweep = InContextScan(model, panel, ScanSettings(context=settings.context, tokens=settings.tokens, fold=0))
    list(sweep.take([pieces]))
    return sweep.ends[1].top_places.score, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time() - begun


def _kept_all(model: Model, panel: ActivationReader, pieces: list[Chunk], settings: ScanSettings) -> tuple[np.ndarray, float, float]:
    """Activations that are not nearly 0 are kept with their places; afterwards each target's are sorted."""
    begun, kept = time.process_time(), []

    def see(part: list[Chunk], states: dict[str, torch.Tensor]) -> None:
        values = torch.cat([each.values(states) for each in panel.parts], dim=-1)
        counted = torch.zeros(values.shape[:2], dtype=torch.bool)
        for row, piece in enumerate(part):
            counted[row, : len(piece.ids)] = torch.from_numpy(piece.counted)
        row, place, target = torch.nonzero((values.abs() > ABOVE) & counted[..., None], as_tuple=True)
        kept.append((torch.tensor([piece.document for piece in part])[row], target, values[row, place, target]))

    bare(Forward(model, panel.sites), pieces, settings, see)
    document, target, value = (torch.cat(parts).numpy() for parts in zip(*kept, strict=True))
    scores = np.full((len(panel.targets), settings.top), -np.inf, np.float32)
    order = np.argsort(target, kind="stable")
    edges = np.searchsorted(target[order], np.arange(len(panel.targets) + 1))
    for number, (first, last) in enumerate(itertools.pairwise(edges)):
        here = order[first:last]
        ranked = here[np.argsort(-value[here], kind="stable")]
        _, once = np.unique(document[ranked], return_index=True)
        best = value[ranked[np.sort(once)[: settings.top]]]
        scores[number, : len(best)] = best
    return scores, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time() - begun


if __name__ == "__main__":
    main()
