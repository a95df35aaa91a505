"""The best places of every target, in a total order, so that merging them in any order gives the same result.

Places are ordered by score (highest first), document and position. Among places with equal folds (a hash of the last tokens there, or of
an n-gram) only the first is kept.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from optigram.scanning.chunks import Chunk
from optigram.scanning.hashing import mixed
from optigram.scanning.plan import ScanSettings
from optigram.shapes import Float, Int


@dataclass(frozen=True)
class Entries:
    """Places that may be among the best of targets, in any order; a fold of 0 equals no other."""

    target: Int[np.ndarray, " e"]
    score: Float[np.ndarray, " e"]
    document: Int[np.ndarray, " e"]
    position: Int[np.ndarray, " e"]
    fold: Int[np.ndarray, " e"]

    @classmethod
    def joined(cls, parts: "Sequence[Entries]") -> "Entries":
        """Entries one after another."""
        return cls(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(cls)))

    def __len__(self) -> int:
        return len(self.target)

    def chosen(self, which: np.ndarray) -> "Entries":
        """Some of them, by number or by mask."""
        return Entries(*(getattr(self, field.name)[which] for field in fields(self)))

    def ranked(self) -> "Entries":
        """Sorted by target, and within one by the total order."""
        bits = (self.score + np.float32(0)).view(np.uint32)  # in the order of the scores, once the sign is seen to; no -0
        rising = np.where(bits >> 31 == 1, ~bits, bits | np.uint32(1 << 31))
        return self.chosen(_order(self.target.astype(np.uint64) << np.uint64(32) | ~rising, self.document, self.position))

    def first_of(self, key: np.ndarray, most: int) -> "Entries":
        """The first `most` of ranked entries with the same target and key; still ranked."""
        numbers, low = np.arange(len(self)), (1 << len(self).bit_length()) - 1
        found = np.sort((mixed(key, 1) ^ mixed(self.target, 2)) & ~low | numbers)  # by hash, then rank: faster than to order by it
        order = found & low
        fresh = _changes(self.target[order]) | _changes(key[order])
        if (fresh & ~_changes(found & ~low)).any():  # two keys with one hash
            order = np.lexsort((numbers, key, self.target))
            fresh = _changes(self.target[order]) | _changes(key[order])
        kept = np.zeros(len(self), dtype=bool)
        kept[order] = _places(fresh) < most
        return self.chosen(kept)

    def with_targets(self, target: np.ndarray) -> "Entries":
        """The same places for other targets."""
        return Entries(target, self.score, self.document, self.position, self.fold)


@dataclass(frozen=True)
class TopPlaces:
    """The k best places of m targets [m k], best first; where fewer are known, scores are -inf and documents -1."""

    score: Float[np.ndarray, "m k"]
    document: Int[np.ndarray, "m k"]
    position: Int[np.ndarray, "m k"]
    fold: Int[np.ndarray, "m k"]

    @classmethod
    def empty(cls, targets: int, most: int) -> "TopPlaces":
        """No place yet, with room for `most` of each target."""
        shape = targets, most
        return cls(
            np.full(shape, -np.inf, np.float32), np.full(shape, -1, np.int64), np.full(shape, -1, np.int32), np.zeros(shape, np.int64)
        )

    @property
    def edge(self) -> Float[np.ndarray, " m"]:
        """The least score [m] that a place needs to be kept."""
        return self.score[:, -1]

    def add(self, new: Entries) -> None:
        """Add entries, in place; those of one document and target must come together, and be no more than may be kept of a document."""
        if not len(new):
            return
        touched = np.flatnonzero(np.bincount(new.target, minlength=len(self.score)))
        whole = Entries.joined([self._entries(touched), new]).ranked()
        key = np.where(whole.fold == 0, -1 - np.arange(len(whole)), whole.fold)
        whole = whole.first_of(key, 1)
        rank = _places(_changes(whole.target))
        kept = rank < self.score.shape[1]
        whole, rank = whole.chosen(kept), rank[kept]
        self.score[touched], self.document[touched], self.position[touched], self.fold[touched] = -np.inf, -1, -1, 0
        for field in ("score", "document", "position", "fold"):
            getattr(self, field)[whole.target, rank] = getattr(whole, field)

    def copied(self) -> "TopPlaces":
        """The same in arrays of its own."""
        return TopPlaces(*(getattr(self, field.name).copy() for field in fields(self)))

    def reaching(self, edge: Float[np.ndarray, " m"]) -> Entries:
        """The places whose score is at least the edge of their target."""
        target, rank = np.nonzero((self.score >= edge[:, None]) & (self.score > -np.inf))
        return Entries(target, self.score[target, rank], self.document[target, rank], self.position[target, rank], self.fold[target, rank])

    def _entries(self, targets: np.ndarray) -> Entries:
        """The places of some targets."""
        row, rank = np.nonzero(self.score[targets] > -np.inf)
        row = targets[row]
        return Entries(row, self.score[row, rank], self.document[row, rank], self.position[row, rank], self.fold[row, rank])


def _order(numbers: np.ndarray, *ties: np.ndarray) -> Int[np.ndarray, " e"]:
    """The order by `numbers`, and where they are equal by the first of `ties`, and so on: faster than a sort by all of them."""
    order = numbers.argsort()
    again = np.concatenate([[False], numbers[order[1:]] == numbers[order[:-1]]])
    if again.any():
        tied = again | np.concatenate([again[1:], [False]])
        among = order[tied]
        order[tied] = among[np.lexsort((*(tie[among] for tie in reversed(ties)), numbers[among]))]
    return order


def _changes(values: np.ndarray) -> np.ndarray:
    """Where a value differs from the one before it."""
    return np.concatenate([np.ones(min(len(values), 1), dtype=bool), values[1:] != values[:-1]])


def _places(fresh: np.ndarray) -> np.ndarray:
    """The place of each within its group, where groups begin at `fresh`."""
    begins = np.nonzero(fresh)[0]
    return np.arange(len(fresh)) - np.repeat(begins, np.diff(np.append(begins, len(fresh))))


LEAST = 1 << 16  # the least number of candidates that are ranked together
LISTS = 1 << 8  # lists of candidates that may wait, however short they are


class Candidates:
    """Candidates for the top places; those of a document of several chunks wait until all of it has been read."""

    top_places: TopPlaces
    most: int
    enough: int

    def __init__(self, targets: int, settings: ScanSettings) -> None:
        self.top_places = TopPlaces.empty(targets, settings.top)
        self.most = settings.per_document
        self.enough = max(LEAST, targets * settings.top)
        self.ready: list[Entries] = []
        self.open: defaultdict[int, list[Entries]] = defaultdict(list)
        self.missing: dict[int, int] = {}

    def add(self, found: Entries, chunks: Sequence[Chunk], last: bool = True) -> None:
        """Add the candidates of some chunks. Where they are not the `last` of these, the chunks do not count as read yet."""
        several = [chunk for chunk in chunks if chunk.chunks > 1]
        if several:
            long = np.isin(found.document, [chunk.document for chunk in several])
            for document in np.unique(found.document[long]).tolist():
                self.open[document].append(found.chosen(found.document == document))
            found = found.chosen(~long)
            for chunk in several if last else ():
                self._finish(chunk)
        if len(found):
            self.ready.append(found)
        if len(self.ready) >= LISTS or sum(map(len, self.ready)) >= self.enough:
            self.settle()

    def settle(self) -> None:
        """Rank all candidates that are ready."""
        if self.ready:
            self.top_places.add(Entries.joined(self.ready))
        self.ready = []

    def _finish(self, chunk: Chunk) -> None:
        """Count a chunk of a long document as read; after the last one its candidates are ready, at most `most` per target."""
        left = self.missing.pop(chunk.document, chunk.chunks) - 1
        if left:
            self.missing[chunk.document] = left
            return
        if chunk.document not in self.open:
            return
        whole = Entries.joined(self.open.pop(chunk.document)).ranked()
        self.ready.append(whole.first_of(whole.document, self.most))
