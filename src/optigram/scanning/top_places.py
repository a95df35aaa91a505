"""TopPlaces: the best places of every target, in a total order, so that joining them in any order gives the same.

The order is score downwards, document, position. Of places with equal folds (a hash of the last tokens that end there, or
of an n-gram) only the first in this order is kept.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor

from optigram.scanning.chunks import Chunk
from optigram.scanning.plan import ScanSettings
from optigram.shapes import Float, Int


@dataclass(frozen=True)
class Entries:
    """Places that may be among the best of targets, in any order; a fold of 0 is like no other."""

    target: Int[np.ndarray, " e"]
    score: Float[np.ndarray, " e"]
    document: Int[np.ndarray, " e"]
    position: Int[np.ndarray, " e"]
    fold: Int[np.ndarray, " e"]

    def __len__(self) -> int:
        return len(self.target)

    def chosen(self, which: np.ndarray) -> "Entries":
        """Some of them, by number or by mask."""
        return Entries(*(getattr(self, field.name)[which] for field in fields(self)))

    def ranked(self) -> "Entries":
        """Sorted by target, and within one by the total order."""
        return self.chosen(np.lexsort((self.position, self.document, -self.score, self.target)))

    def first_of(self, key: np.ndarray, most: int) -> "Entries":
        """Of ranked entries with the same target and key, the first so many; still ranked."""
        order = np.lexsort((np.arange(len(self)), key, self.target))
        fresh = _changes(self.target[order]) | _changes(key[order])
        kept = np.zeros(len(self), dtype=bool)
        kept[order] = _places(fresh) < most
        return self.chosen(kept)

    def with_targets(self, target: np.ndarray) -> "Entries":
        """The same places for other targets."""
        return Entries(target, self.score, self.document, self.position, self.fold)


def joined_entries(parts: list[Entries]) -> Entries:
    """Entries one after another."""
    return Entries(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Entries)))


@dataclass(frozen=True)
class TopPlaces:
    """The k best places of m targets [m k], best first; where fewer are known, scores are -inf and documents -1."""

    score: Float[np.ndarray, "m k"]
    document: Int[np.ndarray, "m k"]
    position: Int[np.ndarray, "m k"]
    fold: Int[np.ndarray, "m k"]

    @classmethod
    def empty(cls, targets: int, most: int) -> "TopPlaces":
        """Room for `most` places of each target."""
        shape = targets, most
        return cls(
            np.full(shape, -np.inf, np.float32), np.full(shape, -1, np.int64), np.full(shape, -1, np.int32), np.zeros(shape, np.int64)
        )

    @property
    def edge(self) -> Float[np.ndarray, " m"]:
        """The score [m] that a place must have to be kept, at the least."""
        return self.score[:, -1]

    def add(self, new: Entries) -> None:
        """Take entries into account, in place; several of one document and target must come together, and be no more than wanted."""
        if not len(new):
            return
        touched = np.unique(new.target)
        whole = joined_entries([self._entries(touched), new]).ranked()
        key = np.where(whole.fold == 0, -1 - np.arange(len(whole)), whole.fold)
        whole = whole.first_of(key, 1)
        rank = _places(_changes(whole.target))
        kept = rank < self.score.shape[1]
        whole, rank = whole.chosen(kept), rank[kept]
        self.score[touched], self.document[touched], self.position[touched], self.fold[touched] = -np.inf, -1, -1, 0
        for field in ("score", "document", "position", "fold"):
            getattr(self, field)[whole.target, rank] = getattr(whole, field)

    def merged(self, other: "TopPlaces") -> "TopPlaces":
        """The best of both, as new top_places."""
        joined = TopPlaces(*(getattr(self, field.name).copy() for field in fields(self)))
        joined.add(other._entries(np.arange(len(other.score))))
        return joined

    def _entries(self, targets: np.ndarray) -> Entries:
        """The places that are known of some targets."""
        row, rank = np.nonzero(self.score[targets] > -np.inf)
        row = targets[row]
        return Entries(row, self.score[row, rank], self.document[row, rank], self.position[row, rank], self.fold[row, rank])


def _changes(values: np.ndarray) -> np.ndarray:
    """Where a value differs from the one before it."""
    return np.concatenate([np.ones(min(len(values), 1), dtype=bool), values[1:] != values[:-1]])


def _places(fresh: np.ndarray) -> np.ndarray:
    """The place of each within its group, where groups begin at `fresh`."""
    begins = np.nonzero(fresh)[0]
    return np.arange(len(fresh)) - np.repeat(begins, np.diff(np.append(begins, len(fresh))))


LEAST = 1 << 16  # candidates that are looked through together, at the least


LISTS = 1 << 8  # lists of candidates that may wait, however short they are


class Candidates:
    """Candidates on their way to the top_places: those of a document of several chunks wait until all of it has been read."""

    def __init__(self, targets: int, settings: ScanSettings):
        self.top_places = TopPlaces.empty(targets, settings.top)
        self.most = settings.per_document
        self.enough = max(LEAST, targets * settings.top)
        self.ready: list[Entries] = []
        self.open: defaultdict[int, list[Entries]] = defaultdict(list)
        self.missing: dict[int, int] = {}
        self._edge: Tensor | None = None

    def edge_on(self, device: torch.device) -> Tensor:
        """The score [m] that a candidate must have."""
        if self._edge is None:
            self._edge = torch.from_numpy(self.top_places.edge.copy()).to(device)
        return self._edge

    def add(self, found: Entries, chunks: Sequence[Chunk]) -> None:
        """Take the candidates of a batch of chunks."""
        several = [chunk for chunk in chunks if chunk.chunks > 1]
        if several:
            long = np.isin(found.document, [chunk.document for chunk in several])
            for document in np.unique(found.document[long]).tolist():
                self.open[document].append(found.chosen(found.document == document))
            found = found.chosen(~long)
            for chunk in several:
                self._finish(chunk)
        if len(found):
            self.ready.append(found)
        if len(self.ready) >= LISTS or sum(map(len, self.ready)) >= self.enough:
            self.settle()

    def settle(self) -> None:
        """Let all candidates that are ready compete."""
        if self.ready:
            self.top_places.add(joined_entries(self.ready))
        self.ready, self._edge = [], None

    def _finish(self, chunk: Chunk) -> None:
        """Count a chunk of a long document as read; after the last one its candidates are ready, no more than wanted of a target."""
        left = self.missing.pop(chunk.document, chunk.chunks) - 1
        if left:
            self.missing[chunk.document] = left
            return
        if chunk.document not in self.open:
            return
        whole = joined_entries(self.open.pop(chunk.document)).ranked()
        self.ready.append(whole.first_of(whole.document, self.most))
