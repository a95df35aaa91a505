"""Chunks: documents as token ids, cut to what the model reads at a time; and the queue in which chunks of one length wait for a batch."""

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from optigram.scanning.hashing import folds, of_places
from optigram.shapes import Bool, Int, Shaped
from optigram.text.documents import Document
from optigram.text.vocabulary import Vocabulary

STEPS = ((32, 2), (64, 4), (128, 8), (256, 16))  # (length, multiple): up to a length, lengths are rounded up to a multiple
LAST_STEP = 32
NARROW = 32  # shorter chunks wait for as many others as those of this length do, so that no thousands of them wait


class Chunk(NamedTuple):
    """Tokens of a document from number `begin` on, with the prefix and suffix of the model: `ids` [s].

    `document` has `chunks` chunks in all. `counted` [s] are the positions that may be found; token i of the document is at
    position i - begin + `lead`.
    """

    document: int
    begin: int
    chunks: int
    lead: int
    ids: Int[np.ndarray, " s"]
    counted: Bool[np.ndarray, " s"]


@dataclass(frozen=True)
class ReadSettings:
    """How documents become chunks of at most `context` tokens, `prefix` and `suffix` included.

    Left out are the first `skipped` positions of a chunk, which are an attention sink in many models, and `ignored` ids.
    """

    context: int
    skipped: int
    ignored: tuple[int, ...]
    prefix: tuple[int, ...]
    suffix: tuple[int, ...]

    @classmethod
    def of(cls, vocabulary: Vocabulary, context: int, skipped: int, special: bool) -> "ReadSettings":
        """The settings for texts of a vocabulary; with `special` special tokens count as well."""
        ignored = () if special else tuple(sorted(vocabulary.special))
        return cls(context, skipped, ignored, vocabulary.prefix, vocabulary.suffix)

    @property
    def room(self) -> int:
        """Tokens of a document in a chunk."""
        return self.context - len(self.prefix) - len(self.suffix)

    def read(self, texts: Sequence[Document], vocabulary: Vocabulary) -> list[Chunk]:
        """The chunks of documents, in order."""
        return [chunk for text in texts for chunk in self.chunks(text.number, vocabulary.encode(text.text))]

    def chunks(self, document: int, ids: Sequence[int]) -> list[Chunk]:
        """The chunks of a document that have a position that counts."""
        ignored = np.array(self.ignored, dtype=np.int64)
        found = []
        for begin in range(0, len(ids), self.room):
            whole = np.array((*self.prefix, *ids[begin : begin + self.room], *self.suffix), dtype=np.int64)
            counted = ~np.isin(whole, ignored)
            counted[: max(self.skipped, len(self.prefix))] = False
            counted[len(whole) - len(self.suffix) :] = False
            if counted.any():
                found.append(Chunk(document, begin, 0, len(self.prefix), whole, counted))
        return [chunk._replace(chunks=len(found)) for chunk in found]


def _rounded(length: int) -> int:
    """The length to which a chunk is padded: short ones almost exactly, long ones less so, so that few lengths are in use."""
    step = next((step for most, step in STEPS if length <= most), LAST_STEP)
    return -(-length // step) * step


class Queue:
    """Chunks wait for others of the same rounded length until they make a batch: of `tokens` tokens, or of `most` chunks.

    No length is over `limit`, the longest text that the model was seen to read. Chunks that leave no `spare` position below it wait
    apart from those that do.
    """

    tokens: int
    spare: int
    most: int | None
    limit: int

    def __init__(self, tokens: int, spare: int, most: int | None = None, limit: int = 1 << 40) -> None:
        self.tokens, self.spare, self.most, self.limit = tokens, spare, most, limit
        self.waiting: dict[tuple[int, bool], list[Chunk]] = {}

    def rows(self, width: int) -> int:
        """Chunks in a batch of this width."""
        return max(self.tokens // max(width, NARROW), 1)

    def put(self, chunk: Chunk) -> tuple[int, list[Chunk]] | None:
        """Add a chunk; return the width and the chunks of a batch if it is full now."""
        length = len(chunk.ids) + self.spare
        width, full = min(_rounded(length), self.limit), length > self.limit
        waiting = self.waiting.setdefault((width, full), [])
        waiting.append(chunk)
        if len(waiting) < min(self.rows(width), self.most or self.tokens):
            return None
        return width, self.waiting.pop((width, full))

    def rest(self) -> Iterator[tuple[int, list[Chunk]]]:
        """All chunks that still wait, by width."""
        for width, full in sorted(self.waiting):
            yield width, self.waiting.pop((width, full))


@dataclass(frozen=True)
class Batch:
    """b chunks padded to s positions: `document` [b]; `place`, `counted`, `fold` and `chance` [b s].

    `place` is the number of the token in its document, `chance` the hash of the place, `fold` that of the tokens that end there.
    """

    document: Int[np.ndarray, " b"]
    place: Int[np.ndarray, "b s"]
    counted: Bool[np.ndarray, "b s"]
    fold: Int[np.ndarray, "b s"]
    chance: Int[np.ndarray, "b s"]

    @classmethod
    def of(cls, chunks: Sequence[Chunk], width: int, fold: int, seed: int) -> "Batch":
        """The batch of some chunks."""
        counted, ids = np.zeros((len(chunks), width), dtype=bool), np.full((len(chunks), width), -1, np.int64)
        for row, chunk in enumerate(chunks):
            counted[row, : len(chunk.ids)] = chunk.counted
            ids[row, chunk.lead : len(chunk.ids)] = chunk.ids[chunk.lead :]
        document = np.array([chunk.document for chunk in chunks], np.int64)
        place = np.array([[chunk.begin - chunk.lead] for chunk in chunks], np.int64) + np.arange(width)
        chance = of_places(np.repeat(document, width), place.ravel(), seed).reshape(place.shape)
        lead = chunks[0].lead
        fold_of = np.zeros(place.shape, np.int64)
        fold_of[:, lead:] = folds(ids[:, lead:], fold)
        return cls(document, place, counted, fold_of, chance)

    @property
    def tokens(self) -> Int[np.ndarray, " b"]:
        """How many positions of each chunk count."""
        return self.counted.sum(1)

    @functools.cached_property
    def first(self) -> Int[np.ndarray, " b"]:
        """The first position of each chunk that counts."""
        return self.counted.argmax(1)

    @property
    def uncounted(self) -> tuple[Int[np.ndarray, " u"], Int[np.ndarray, " u"]]:
        """The positions that do not count, numbered over all chunks, and for each the first of its chunk that does."""
        row, position = np.nonzero(~self.counted)
        begin = row * self.counted.shape[1]
        return begin + position, begin + self.first[row]

    @staticmethod
    def uploaded(arrays: Sequence[np.ndarray], device: torch.device) -> list[Shaped[Tensor, " _"]]:
        """Arrays, all of float32 or all of whole numbers, on a device, by one copy that nothing waits for."""
        together = np.concatenate(arrays)
        whole = torch.from_numpy(together if together.dtype == np.float32 else together.astype(np.int64, copy=False))
        if device.type == "cuda":
            whole = whole.pin_memory()
        return list(whole.to(device, non_blocking=True).split([len(array) for array in arrays]))
