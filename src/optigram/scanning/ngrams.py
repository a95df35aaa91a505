"""n-grams alone: every run of so many words of the corpus, judged by itself as the paper does it, and not where it stands.

The windows of many documents are made unique, and read together, so that those which begin alike share the work on their
beginning where the model allows it.
"""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import torch

from optigram.models.base import Model
from optigram.objective.forward import ROWS
from optigram.objective.objective import Objective
from optigram.scanning.hashing import folds, levels
from optigram.scanning.plan import ScanSettings
from optigram.scanning.statistics import LEVELS, Statistics
from optigram.scanning.top_places import Candidates, Entries
from optigram.targets.target import Target
from optigram.text.documents import Document
from optigram.text.lexicon import lexicon

WINDOWS = 1 << 18  # windows that are made unique together


class NgramScan:
    """Takes documents, and holds what is known after them; the same outside as a `InContextScan`.

    A place is the last word of the n-gram where it stands first. Moments, histogram and random sample are left empty, for the
    same n-gram may come in many shards.
    """

    def __init__(self, model: Model, targets: Sequence[Target], settings: ScanSettings):
        self.targets, self.settings = tuple(targets), settings
        self.vocabulary = model.vocabulary
        self.allowed = np.zeros(len(model.vocabulary), dtype=bool)
        self.allowed[np.arange(len(model.vocabulary)) if settings.special else lexicon(model.vocabulary)] = True
        self.objective = Objective(model, targets, settings.length).viewed("exact").deterministic()
        self.ends = {1: Candidates(len(targets), settings), -1: Candidates(len(targets), settings)}
        self.statistics = Statistics.empty(len(targets))

    def take(self, texts: Iterable[Document]) -> Iterator[int]:
        """Judge the n-grams of documents; yield, now and then, how many tokens were read."""
        rows: list[list[int]] = []
        numbers, windows, tokens = [], 0, 0
        for number, text in texts:
            ids = self.vocabulary.encode(text)
            tokens += len(ids)
            rows.append(ids)
            numbers.append(number)
            windows += max(len(ids) - self.settings.length + 1, 0)
            if windows >= WINDOWS:
                self._judge(rows, numbers)
                yield tokens
                rows, numbers, windows, tokens = [], [], 0, 0
        self._judge(rows, numbers)
        yield tokens
        for candidates in self.ends.values():
            candidates.settle()

    def _judge(self, rows: Sequence[Sequence[int]], numbers: Sequence[int]) -> None:
        lengths = np.array([len(row) for row in rows], np.int64)
        documents = np.array(numbers, np.int64)
        self.statistics.note_tokens(documents, lengths, self.settings.seed)
        grams, owner, place = self._windows(rows, lengths)
        if not len(grams):
            return
        grams, first, group = np.unique(grams, axis=0, return_index=True, return_inverse=True)
        level = np.zeros(len(grams), np.int64)
        np.maximum.at(level, group.ravel(), levels(documents, LEVELS, self.settings.seed)[owner])
        filled = np.concatenate([grams, np.repeat(grams[-1:], max(ROWS - len(grams), 0), axis=0)])  # so that forwards have one shape
        scores = self.objective.score(torch.from_numpy(filled)[None]).activation[:, : len(grams)].cpu().numpy()
        self.statistics.count += len(grams)
        self.statistics.broken += int(np.isnan(scores).sum())
        fold = folds(grams, self.settings.length)[:, -1]
        for sign, candidates in self.ends.items():
            values = np.nan_to_num(sign * scores, nan=-np.inf, posinf=np.inf, neginf=-np.inf) + np.float32(0)
            target, gram = np.nonzero((values >= candidates.top_places.edge[:, None]) & (values > -np.inf))
            if sign > 0:
                for one in np.unique(level):
                    top = values[:, level == one].max(1)
                    np.maximum(self.statistics.best[:, one], top, out=self.statistics.best[:, one])
            where = first[gram]
            candidates.add(Entries(target, values[target, gram], documents[owner[where]], place[where].astype(np.int32), fold[gram]), ())
            candidates.settle()

    def _windows(self, rows: Sequence[Sequence[int]], lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """All windows [c t] of allowed words in the order of the documents, whose they are, and where the last word of each stands."""
        t = self.settings.length
        flat = np.concatenate([np.asarray(row, np.int64) for row in rows]) if len(rows) else np.zeros(0, np.int64)
        if len(flat) < t:
            return np.zeros((0, t), np.int64), flat[:0], flat[:0]
        owner = np.repeat(np.arange(len(rows)), lengths)
        place = np.arange(len(flat)) - np.repeat(lengths.cumsum() - lengths, lengths)
        whole = np.nonzero(owner[: len(flat) - t + 1] == owner[t - 1 :])[0]
        grams = np.lib.stride_tricks.sliding_window_view(flat, t)[whole]
        kept = self.allowed[grams].all(1)
        whole = whole[kept]
        return grams[kept], owner[whole], place[whole + t - 1]
