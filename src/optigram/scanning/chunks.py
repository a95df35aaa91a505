"""Pieces: documents as token ids, cut to what the model reads at a time; and the queue in which chunks of one length wait."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from optigram.scanning.hashing import folds, of_places
from optigram.shapes import Bool, Float, Int
from optigram.text.documents import Document
from optigram.text.vocabulary import Vocabulary

STEPS = ((32, 2), (64, 4), (128, 8), (256, 16))  # up to so many tokens, lengths are rounded up to multiples of
LAST_STEP = 32
NARROW = 32  # shorter chunks wait for no more others than those of this length, lest thousands of them wait


class Chunk(NamedTuple):
    """Tokens of a document from `begin` on, with what the model expects around them: `ids` [s]; `document` has so many `chunks`.

    `counted` [s] are the positions that may be found; token i of the document is at position i - begin + `lead`.
    """

    document: int
    begin: int
    chunks: int
    lead: int
    ids: Int[np.ndarray, " s"]
    counted: Bool[np.ndarray, " s"]


@dataclass(frozen=True)
class ReadSettings:
    """How documents become chunks: `context` tokens at the most, what the model expects around a text included.

    Left out are the first `skipped` positions of a chunk, which are an attention sink in many models, and `ignored` ids.
    """

    context: int
    skipped: int
    ignored: tuple[int, ...]
    prefix: tuple[int, ...]
    suffix: tuple[int, ...]

    @property
    def room(self) -> int:
        """Tokens of a document in a chunk."""
        return self.context - len(self.prefix) - len(self.suffix)

    def chunks(self, document: int, ids: Sequence[int]) -> list[Chunk]:
        """The chunks of a document of which any position counts."""
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


def read_settings(vocabulary: Vocabulary, context: int, skipped: int, special: bool) -> ReadSettings:
    """How texts in this vocabulary are read; with `special` tokens without a text of their own count as well."""
    ignored = () if special else tuple(sorted(vocabulary.special))
    return ReadSettings(context, skipped, ignored, vocabulary.prefix, vocabulary.suffix)


def read_documents(texts: Sequence[Document], vocabulary: Vocabulary, how: ReadSettings) -> list[Chunk]:
    """The chunks of documents, in order."""
    return [chunk for number, text in texts for chunk in how.chunks(number, vocabulary.encode(text))]


def _rounded(length: int) -> int:
    """The length to which a chunk is filled up: short ones nearly exactly, long ones less so, that few lengths are in use."""
    step = next((step for most, step in STEPS if length <= most), LAST_STEP)
    return -(-length // step) * step


class Queue:
    """Pieces wait for others of their rounded length until there are enough for a batch: of `tokens`, or of `most` chunks."""

    def __init__(self, tokens: int, spare: int, most: int | None = None):
        self.tokens, self.spare, self.most = tokens, spare, most
        self.waiting: dict[int, list[Chunk]] = {}

    def rows(self, width: int) -> int:
        """Pieces in a batch of this width."""
        return max(self.tokens // max(width, NARROW), 1)

    def put(self, chunk: Chunk) -> tuple[int, list[Chunk]] | None:
        """Take a chunk; give the width and the chunks of a batch if that made one."""
        width = _rounded(len(chunk.ids) + self.spare)
        waiting = self.waiting.setdefault(width, [])
        waiting.append(chunk)
        if len(waiting) < min(self.rows(width), self.most or self.tokens):
            return None
        return width, self.waiting.pop(width)

    def rest(self) -> Iterator[tuple[int, list[Chunk]]]:
        """Give all that still wait, by width."""
        for width in sorted(self.waiting):
            yield width, self.waiting.pop(width)


@dataclass(frozen=True)
class Batch:
    """Of b chunks filled up to s positions: `document`, `begin`, `lead` [b], `counted`, `fold`, `chance` [b s].

    `chance` is the hash of the place. A position is place `begin - lead + position` of its document, which is `place` [b s].
    """

    document: Int[np.ndarray, " b"]
    place: Int[np.ndarray, "b s"]
    counted: Bool[np.ndarray, "b s"]
    fold: Int[np.ndarray, "b s"]
    chance: Int[np.ndarray, "b s"]

    @classmethod
    def of(cls, chunks: Sequence[Chunk], width: int, fold: int, seed: int) -> "Batch":
        """The arrays of some chunks."""
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


def evened(values: Float[Tensor, "b s m"], counted: Bool[np.ndarray, "b s"]) -> Float[Tensor, "b s m"]:
    """The values, with those of positions that do not count replaced by others of the same chunk, so that a maximum may be taken over all.

    This changes the states themselves, which nobody reads afterwards.
    """
    values = values.contiguous()
    row, position = np.nonzero(~counted)
    if len(row):
        first = counted.argmax(1)
        flat, width = values.flatten(0, 1), counted.shape[1]
        flat[torch.from_numpy(row * width + position)] = flat[torch.from_numpy(row * width + first[row])]
    return values
