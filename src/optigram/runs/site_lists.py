"""What a corpus search leaves for the next neuron: the best n-grams of every unit of the sites that it read."""

import functools
import hashlib
import time
from collections.abc import Sequence
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from optigram.methods import Corpus
from optigram.objective.objective import Objective
from optigram.objective.whole_site import Whole
from optigram.optimize.rescore import rescore
from optigram.optimize.result import SearchResult, TargetResult
from optigram.optimize.topk import TopK
from optigram.runs.cache import Cache
from optigram.shapes import Float, Int
from optigram.targets.readouts import Unit

KIND = "ngrams"
LISTED, SMALLEST = 1024, 128  # n-grams per unit, at most and at least
ENTRIES = 1 << 22  # of all units of a site together, unless that is less than the smallest list for each
WIDEST = 1 << 14  # units of the sites that are kept by one pass
FEWEST = 1 << 12  # n-grams of a corpus; a smaller one is scored again
Trace = list[tuple[float, float, float]]
ALIKE, ROUGHLY = 1e-4, 0.05  # how much a kept activation may differ when judged again, relative to its size; and in half precision


class SiteLists:
    """The lists for the targets of an objective, which may be in the cache or come to be.

    A target has one if it is a unit, or the negative of one, of a site that is read as it is, or of a small projection. What is kept
    are float32 activations of the search itself, so that the n best of a list are, bit for bit, those of a search of the whole corpus
    wherever the n-th is above the list's end.
    """

    objective: Objective
    corpus: Corpus
    cache: Cache
    wholes: list[Whole | None]

    def __init__(self, objective: Objective, corpus: Corpus, cache: Cache) -> None:
        self.objective, self.corpus, self.cache = objective, corpus, cache
        self.wholes = [Whole.of(objective.model, target) for target in objective.targets]
        self._keys: dict[Whole, str] = {}

    @functools.cached_property
    def asked(self) -> dict[str, Any]:
        """What states depend on beside the model: the n-grams, what stands around them, and how many are read together."""
        template = self.objective.template.pieces(self.objective.length)
        pieces = [[piece.start, piece.stop, "free"] if isinstance(piece, range) else piece for piece in template]
        ngrams = hashlib.sha256(self.corpus.texts.tobytes()).hexdigest()
        return {"ngrams": ngrams, "length": self.objective.length, "template": pieces, "chunk": self.corpus.chunk}

    def key(self, whole: Whole) -> str:
        """The name of the file of a site's lists."""
        if whole not in self._keys:
            model, linear = self.objective.model, self.objective.model.sites[whole.site].linear
            site = whole.site if linear is None else linear.source
            self._keys[whole] = Cache.key(model, site, whole=whole, survive=self.objective.must_survive, **self.asked)
        return self._keys[whole]

    def recall(self, n: int) -> SearchResult | None:
        """The n best n-grams of every target, as a search finds them; None unless all of them are known for certain."""
        begun, known = time.perf_counter(), []
        for target, whole in zip(self.objective.targets, self.wholes, strict=True):
            readout = target.terms[0].readout
            found = None if whole is None or not isinstance(readout, Unit) else self._read(whole, readout.index, n)
            if found is None:
                return None
            known.append(found)
        rows, values = (torch.stack(parts) for parts in list(zip(*known, strict=True))[:2])
        ids = torch.from_numpy(self.corpus.texts)[rows]
        if not self._agrees(ids, values):
            for whole in {whole for whole in self.wholes if whole is not None}:
                self.cache.drop(self.cache.folder / KIND / self.key(whole))
            return None
        results = rescore(self.objective, TopK(ids, values))
        seconds = (time.perf_counter() - begun) / len(known)
        return SearchResult(
            [
                TargetResult(one.ids, one.activation, trace[-1][0], 0.0, seconds, {}, 0, trace, one.surprisal, one.notes)
                for one, (_, _, trace) in zip(results, known, strict=True)
            ]
        )

    def alike(self, one: Tensor, other: Tensor) -> bool:
        """Whether numbers of two forwards are the same but for rounding."""
        most = ALIKE if self.objective.model.embedding.dtype == torch.float32 else ROUGHLY
        return bool(((one - other).abs() <= most * other.abs().clamp(min=1)).all())

    def missing(self) -> list[Whole]:
        """The sites whose lists the next search can make, as many as may be read together."""
        found, width = [], 0
        for whole in dict.fromkeys(whole for whole in self.wholes if whole is not None):
            width += self.objective.model.sites[whole.site].width
            if width <= WIDEST and self.cache.get(KIND, self.key(whole)) is None:
                found.append(whole)
        return found

    def recorder(self, wholes: Sequence[Whole]) -> "_Recorder":
        """What makes the lists of some sites in the next search, and then writes them."""
        return _Recorder(self, wholes)

    def _read(self, whole: Whole, unit: int, n: int) -> tuple[Int[Tensor, " n"], Float[Tensor, " n"], Trace] | None:
        """Rows of the corpus and their activations, best first, and the trace of the search; None if the list is too short."""
        path = self.cache.get(KIND, self.key(whole))
        if path is None:
            return None
        try:
            with safe_open(path, framework="pt") as file:
                row, value, best = (file.get_slice(name)[unit] for name in ("row", "value", "best"))
                spent = file.get_tensor("spent")
        except (OSError, SafetensorError, IndexError):
            self.cache.drop(path)
            return None
        sure = len(value) if len(value) == len(self.corpus.texts) else int((value > value[-1]).sum())
        if sure < n:
            return None
        points = zip(spent.tolist(), best.cummax(0).values.tolist(), strict=True)
        return row[:n].long(), value[:n], [(cost, high, high) for cost, high in points]

    def _agrees(self, ids: Int[Tensor, "k n t"], values: Float[Tensor, "k n"]) -> bool:
        """Whether the model still gives these activations of the best n-gram of each target; else what was kept is of another one."""
        judged = self.objective.viewed("search").score(ids[:, :1]).activation.cpu()
        return self.alike(judged, values[:, :1])


class _Recorder:
    """Takes the activations of whole sites chunk by chunk, and keeps the best n-grams of each unit."""

    lists: SiteLists
    wholes: Sequence[Whole]

    def __init__(self, lists: SiteLists, wholes: Sequence[Whole]) -> None:
        self.lists, self.wholes = lists, wholes
        self.widths = [lists.objective.model.sites[whole.site].width for whole in wholes]
        self.sound, self.done = True, 0
        self.value: list[Tensor] = [torch.empty(width, 0) for width in self.widths]
        self.row: list[Tensor] = [torch.empty(width, 0, dtype=torch.int32) for width in self.widths]
        self.best: list[list[Tensor]] = [[] for _ in wholes]

    def see(self, values: Float[Tensor, "m c"]) -> None:
        """Take the activations of all units on the next c n-grams of the corpus."""
        c = values.shape[1]
        if self.lists.objective.must_survive:
            texts = torch.from_numpy(self.lists.corpus.texts[self.done : self.done + c])
            values = values.masked_fill(~self.lists.objective.is_allowed(texts[None])[0].to(values.device), -torch.inf)
        self.sound &= bool((values < torch.inf).all())  # NaN is not less, either
        for number, own in enumerate(values.split(self.widths)):
            self._keep(number, own)
        self.done += c

    def _keep(self, number: int, values: Float[Tensor, "m c"]) -> None:
        most = min(max(min(LISTED, ENTRIES // len(values)), SMALLEST), len(self.lists.corpus.texts))
        high, place = values.topk(min(most, values.shape[1]))
        self.best[number].append(high[:, 0].cpu())
        value = torch.cat([self.value[number], high.cpu()], dim=1)
        row = torch.cat([self.row[number], (place + self.done).int().cpu()], dim=1)
        self.value[number], chosen = value.topk(min(most, value.shape[1]))
        self.row[number] = row.gather(1, chosen)

    def store(self, spent: Sequence[float]) -> None:
        """Write the lists, where the whole corpus was seen; `spent` are the forward-equivalents after each chunk."""
        if not self.sound or self.done != len(self.lists.corpus.texts):
            return
        for whole, value, row, best in zip(self.wholes, self.value, self.row, self.best, strict=True):
            order = row.argsort(dim=1)  # of equal activations the smaller n-gram is first, as in a search
            order = order.gather(1, value.gather(1, order).argsort(dim=1, descending=True, stable=True))
            arrays = {"row": row.gather(1, order), "value": value.gather(1, order), "best": torch.stack(best, dim=1)}
            arrays["spent"] = torch.tensor(spent, dtype=torch.float64)
            self.lists.cache.put(KIND, self.lists.key(whole), lambda path, arrays=arrays: save_file(arrays, path))
