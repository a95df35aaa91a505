"""Does a second language model agree that texts found within a bound on surprisal are likelier than those found without one?

The second model shares nothing with the first: it predicts characters, from up to six before them, and was counted on captions. Texts
within the bound are those that `quality/fluent` has kept; for the same neurons texts are searched here without a bound.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from benchmarks.quality.search import plain
from benchmarks.setup import Result, Searches, Settings, Unit

from benchmarks import results
from optigram.errors import InputError
from optigram.study import statistics

FLUENT, ORDER, BYTES, DRAWN = "quality/fluent", 6, 256, 1000
BEFORE = " " * ORDER  # a text's first characters are predicted from it


class Characters:
    """Bits per character of texts, lower case, by counts of contexts of 0 to `ORDER` characters, interpolated (Witten and Bell 1991)."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._counts: dict[str, Counter[str]] = {}
        for text in texts:
            line = BEFORE + text.lower()
            for end in range(ORDER, len(line)):
                for begin in range(end - ORDER, end + 1):
                    self._counts.setdefault(line[begin:end], Counter())[line[end]] += 1
        self._sizes = {context: counts.total() for context, counts in self._counts.items()}

    def bits(self, text: str) -> float:
        """The mean surprisal of a text's characters, in bits."""
        line = BEFORE + text.strip().lower()
        found = [-math.log2(self._probability(line[end - ORDER : end], line[end])) for end in range(ORDER, len(line))]
        return float(np.mean(found)) if found else 0.0

    def _probability(self, context: str, character: str) -> float:
        shorter = self._probability(context[1:], character) if context else 1 / BYTES
        counts = self._counts.get(context)
        if counts is None:
            return shorter
        return (counts[character] + len(counts) * shorter) / (self._sizes[context] + len(counts))


class _Context(NamedTuple):
    searches: Searches
    judge: Characters
    windows: Sequence[str]
    bounded: Mapping[str, str]


def setup(settings: Settings) -> _Context:
    """The model; the second one, counted on the corpus but for its last tenth; windows of that tenth; the texts within the bound."""
    searches = Searches.of(settings)
    texts = list(searches.corpus.texts())
    held = max(len(texts) // 10, 1)
    return _Context(searches, Characters(texts[:-held]), _windows(searches, texts[-held:]), _bounded(settings))


def _windows(searches: Searches, texts: Sequence[str]) -> list[str]:
    """As many tokens as a search has free, from a random place of each of some texts."""
    vocabulary, length, rng = searches.model.vocabulary, searches.settings.length, np.random.default_rng(0)
    encoded = [vocabulary.encode(text) for text in texts]
    long = [ids for ids in encoded if len(ids) >= length][:DRAWN]
    begins = [int(rng.integers(len(ids) - length + 1)) for ids in long]
    return [vocabulary.decode(list(ids[begin : begin + length])) for ids, begin in zip(long, begins, strict=True)]


def _bounded(settings: Settings) -> dict[str, str]:
    """The text within the bound of each target, as the last run of `quality/fluent` on as many targets has kept it."""
    wanted = {name: settings.described()[name] for name in ("model", "targets", "length")} | {"method": settings.by[0]}
    rows = results.latest(results.read(Path(settings.option("results", str(results.RESULTS)))))
    kept = [row for row in rows if row.case == FLUENT and wanted.items() <= row.settings.items() and row.settings["site"] in settings.sites]
    if not kept:
        raise InputError(f"expected texts of {FLUENT} with {wanted}; run that case first")
    return {text["target"]: text["text"] for row in kept for text in row.texts}


def agreement(context: _Context, unit: Unit, seed: int) -> list[Result]:
    """Bits per character of texts of the corpus, within the bound, without one, and of random tokens."""
    searches, judge, bounded = context.searches, context.judge, context.bounded
    objective = searches.objective(unit["site"])
    records = searches.records(unit["site"], "coordinate", unit["budget"], seed)
    free = {record.target: record.text for record in records if record.target in bounded}
    vocabulary, drawn = searches.model.vocabulary, torch.Generator().manual_seed(seed)
    rows = torch.randint(len(objective.lexicon), (DRAWN, searches.settings.length), generator=drawn)
    random = [vocabulary.decode(ids) for ids in objective.lexicon.cpu()[rows].tolist()]
    bits = {name: [judge.bits(text) for text in texts] for name, texts in (("corpus", context.windows), ("random", random))}
    bits |= {"within": [judge.bits(bounded[target]) for target in free], "free": [judge.bits(text) for text in free.values()]}
    likelier = sum(ours < theirs for ours, theirs in zip(bits["within"], bits["free"], strict=True))
    metrics: dict[str, Any] = {name: plain(statistics.Interval.median(values)) for name, values in bits.items()}
    return [Result(metrics | {"agrees": plain(statistics.Interval.share(likelier, len(free))), "neurons": len(free)})]
