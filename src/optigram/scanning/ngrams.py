"""Scans n-grams alone: each run of n words of the corpus is scored by itself, as in the paper, and not where it stands.

The n-grams of many documents are made unique and scored together, so that those with a common prefix share the work on it where the model
allows that.
"""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from optigram.models.base import Model
from optigram.objective.forward import ROWS
from optigram.objective.ngram_scores import ngram_scores
from optigram.objective.objective import Objective
from optigram.scanning.hashing import folds, levels
from optigram.scanning.plan import ScanSettings
from optigram.scanning.statistics import LEVELS, Statistics
from optigram.scanning.top_places import Candidates, Entries
from optigram.targets.target import Target
from optigram.text.documents import Document
from optigram.text.lexicon import lexicon
from optigram.text.ngrams import NGrams
from optigram.text.vocabulary import Vocabulary

TOGETHER = 1 << 18  # n-grams that are made unique and scored together


class NgramScan:
    """Takes documents, and holds what is known after them, in the same fields as `InContextScan`.

    A place is that of the last word of the n-gram where it stands first. There are no moments, histogram or random sample, because the
    same n-gram may come in many shards.
    """

    targets: tuple[Target, ...]
    settings: ScanSettings
    vocabulary: Vocabulary
    allowed: np.ndarray
    objective: Objective
    ends: dict[int, Candidates]
    statistics: Statistics

    def __init__(self, model: Model, targets: Sequence[Target], settings: ScanSettings) -> None:
        self.targets, self.settings = tuple(targets), settings
        self.vocabulary = model.vocabulary
        self.allowed = np.zeros(len(model.vocabulary), dtype=bool)
        self.allowed[np.arange(len(model.vocabulary)) if settings.special else lexicon(model.vocabulary)] = True
        self.objective = Objective(model, targets, settings.length).viewed("exact").deterministic()
        self.ends = {1: Candidates(len(targets), settings), -1: Candidates(len(targets), settings)}
        self.statistics = Statistics.empty(len(targets))

    def take(self, texts: Iterable[Document]) -> Iterator[int]:
        """Score the n-grams of documents; yield, now and then, how many tokens were read."""
        rows: list[list[int]] = []
        numbers, count, tokens = [], 0, 0
        for text in texts:
            ids = self.vocabulary.encode(text.text)
            tokens += len(ids)
            rows.append(ids)
            numbers.append(text.number)
            count += max(len(ids) - self.settings.length + 1, 0)
            if count >= TOGETHER:
                self._score(rows, np.array(numbers, np.int64))
                yield tokens
                rows, numbers, count, tokens = [], [], 0, 0
        self._score(rows, np.array(numbers, np.int64))
        yield tokens
        for candidates in self.ends.values():
            candidates.settle()

    def _score(self, rows: Sequence[Sequence[int]], documents: np.ndarray) -> None:
        lengths = np.array([len(row) for row in rows], np.int64)
        self.statistics.note_tokens(documents, lengths, self.settings.seed)
        every = NGrams.of(rows, self.settings.length, self.allowed)
        if not len(every):
            return
        grams, group = every.unique()
        level = np.zeros(len(grams), np.int64)
        np.maximum.at(level, group, levels(documents, LEVELS, self.settings.seed)[every.text])
        ((_, activation),) = ngram_scores(self.objective, grams.ids, [len(grams)], ROWS)
        scores = activation.numpy()
        self.statistics.count += len(grams)
        if not (finite := np.isfinite(scores)).all():
            self.statistics.note_broken((~finite).sum(1), documents[grams.text[~finite.all(0)]])
        self._keep(grams, scores, documents, level)

    def _keep(self, grams: NGrams, scores: np.ndarray, documents: np.ndarray, level: np.ndarray) -> None:
        """Update the best n-grams at both ends, and the best of each level of documents."""
        fold = folds(grams.ids, self.settings.length)[:, -1]
        last = (grams.position + self.settings.length - 1).astype(np.int32)
        for sign, candidates in self.ends.items():
            values = np.where(np.isfinite(scores), sign * scores, np.float32(-np.inf)) + np.float32(0)
            target, gram = np.nonzero((values >= candidates.top_places.edge[:, None]) & (values > -np.inf))
            if sign > 0:
                for one in np.unique(level):
                    top = values[:, level == one].max(1)
                    np.maximum(self.statistics.best[:, one], top, out=self.statistics.best[:, one])
            candidates.add(Entries(target, values[target, gram], documents[grams.text[gram]], last[gram], fold[gram]), ())
            candidates.settle()
