"""Searches and scans on a device, in wall seconds: against the bare forward of the same model on the same device."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from benchmarks.setup import Result, Settings, Unit

from optigram.models.base import Model
from optigram.models.loading import load
from optigram.objective.objective import Objective
from optigram.optimize.method import Method
from optigram.optimize.search import Budget, SearchResult, search
from optigram.runs.plan import Plan
from optigram.scanning.activations import ActivationReader
from optigram.scanning.chunks import ReadSettings
from optigram.scanning.in_context import InContextScan
from optigram.scanning.plan import ScanSettings
from optigram.targets.target import resolve
from optigram.text.documents import Document

WORDS = 50_256  # and <unk>: the vocabulary of GPT-2
SIZES = {"small": {}, "tiny": {"n_embd": 64, "n_layer": 2, "n_head": 4}}  # GPT-2 small, and one for tests
TRIED = (256, 1024, 4096)  # rows of a bare forward: the fastest of them counts


@dataclass(frozen=True)
class Device:
    """A random GPT-2 on a device, and what was asked."""

    model: Model
    bare: Any
    settings: Settings

    def seconds(self, run: Callable[[], object], times: int = 3) -> float:
        """Wall seconds of the fastest of several runs, all of whose work on the device is done."""
        return min(self._seconds(run) for _ in range(times))

    def _seconds(self, run: Callable[[], object]) -> float:
        self._wait()
        begun = time.perf_counter()
        run()
        self._wait()
        return time.perf_counter() - begun

    def _wait(self) -> None:
        if self.model.embedding.is_cuda:
            torch.cuda.synchronize()

    def forward(self, length: int) -> float:
        """Texts per second of the bare transformer, without its head, at its best batch size."""
        found = []
        for rows in TRIED[: self.settings.option("tried", len(TRIED))]:
            ids = torch.randint(1, len(self.model.vocabulary), (rows, length), device=self.model.embedding.device)
            with torch.inference_mode():
                self.bare(ids)
                found.append(rows / self.seconds(lambda ids=ids: self.bare(ids)))
        return max(found)


def setup(settings: Settings) -> Device:
    """Make the model on the device (option `device`; `size` is small or tiny)."""
    import transformers
    from tokenizers import Tokenizer, models, pre_tokenizers

    words = {"<unk>": 0, **{f"w{number}": number + 1 for number in range(settings.option("words", WORDS))}}
    made = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=made, unk_token="<unk>", bos_token="<unk>")
    torch.manual_seed(0)
    config = transformers.GPT2Config(vocab_size=len(words), bos_token_id=0, eos_token_id=0, **SIZES[settings.option("size", "small")])
    whole = transformers.GPT2LMHeadModel(config).eval().to(settings.option("device", "cuda"))
    return Device(load(whole, tokenizer), whole.transformer, settings)


def searching(context: Device, unit: Unit, seed: int) -> list[Result]:
    """Forward-equivalents per second of a search at the last block, to the texts per second of the bare forward."""
    model, settings = context.model, context.settings
    site = list(model.sites)[-1] if not settings.sites else settings.sites[0]
    bare, results = context.forward(settings.length + len(model.vocabulary.prefix)), []
    for count in sorted({1, settings.targets}):
        objective = Objective(model, resolve([f"{site}:{i}@max" for i in range(count)], model), settings.length)
        plan = Plan.of(unit["method"], objective, None, unit["budget"])
        _reset()
        assert plan.method is not None
        found, seconds = _searched(context, objective, plan.method, unit["budget"], seed)
        spent = sum(one.forwards + one.backwards for one in found.found if one is not None)
        metrics = {"ratio": spent / seconds / bare, "searched": spent / seconds, "bare": bare, "peak": _peak(), "neurons": count}
        results.append(Result(metrics, settings={"what": f"{unit['method']}, {count} neuron{'s' * (count > 1)}", "card": _card()}))
    return results


def _searched(context: Device, objective: Objective, method: Method, budget: float, seed: int) -> tuple[SearchResult, float]:
    """A search after a short one that warms the device up, and its wall seconds."""
    found: list[SearchResult] = []

    def run(bound: Budget) -> None:
        found.append(search(objective.subset(range(len(objective.targets))), method, bound, seed))

    run(Budget(rounds=2))
    seconds = context.seconds(lambda: run(Budget(forwards=budget)), 1)
    return found[-1], seconds


def scanning(context: Device, unit: Unit, seed: int) -> list[Result]:
    """Tokens per second of a scan of all MLP neurons, to those of the bare forward of the same width."""
    model, settings = context.model, context.settings
    sites = settings.sites or tuple(site for site in model.sites if site.startswith("mlp_act"))
    how = ScanSettings.for_model(model, context=256, tokens=settings.option("tokens", 16_384))
    reader = ActivationReader.of(model, resolve([f"{site}:*" for site in sites], model))
    drawn = np.random.default_rng(seed).integers(0, len(model.vocabulary) - 1, (settings.sentences or 1500, 256))
    documents = [Document(number, " ".join(f"w{i}" for i in row)) for number, row in enumerate(drawn)]
    chunks = ReadSettings.of(model.vocabulary, how.context, how.skipped, how.special).read(documents, model.vocabulary)
    rows = how.tokens // 256
    ids = torch.from_numpy(drawn).to(model.embedding.device) + 1

    def bare() -> None:
        with torch.inference_mode():
            for start in range(0, len(ids), rows):
                context.bare(ids[start : start + rows])

    bare()
    list(InContextScan(model, reader, how).take([chunks[: 2 * rows]]))
    _reset()
    there, scan = context.seconds(bare), context.seconds(lambda: list(InContextScan(model, reader, how).take([chunks])), 1)
    metrics = {"ratio": there / scan, "searched": ids.numel() / scan, "bare": ids.numel() / there, "peak": _peak()}
    return [Result(metrics | {"neurons": len(reader.targets)}, settings={"what": "scan", "card": _card()})]


def _card() -> str:
    return torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"


def _reset() -> None:
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()


def _peak() -> float:
    """The largest memory of the device so far, MB."""
    return torch.cuda.max_memory_allocated() / 1e6 if torch.cuda.is_available() else 0.0
