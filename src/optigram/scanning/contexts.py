"""Contexts: the tokens around the places that were found, and their activations. The model runs again for these places alone."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from optigram.models.base import Model
from optigram.scanning.activations import ActivationReader
from optigram.scanning.chunks import Chunk, Queue, ReadSettings
from optigram.scanning.examples import Examples
from optigram.scanning.forward import Forward
from optigram.shapes import Float
from optigram.text.documents import Document
from optigram.text.formats import Source
from optigram.text.vocabulary import Vocabulary

AROUND = 16, 8  # tokens before and after a place
TOGETHER = 2048  # documents in memory at once


@dataclass(frozen=True)
class Context:
    """Tokens of a document from number `begin` on: their `ids` and `activations`, and the `text` of the document there.

    `text_begin` is where `text` begins in the document, `char_begin` and `char_end` are the edges of the token that was found, in the
    document; `spans` are the edges of all tokens, in `text`. Where the vocabulary knows no spans all are None, and `text` is decoded.
    """

    begin: int
    ids: list[int]
    activations: list[float] | None
    text: str
    text_begin: int | None
    char_begin: int | None
    char_end: int | None
    spans: list[int] | None


class Contexts:
    """Reads contexts of `around` tokens (before, after), in the chunks of the scan. `reader` None: without activations."""

    reader: ActivationReader | None
    how: ReadSettings
    tokens: int
    around: tuple[int, int]
    forward: Forward | None

    def __init__(
        self, model: Model, reader: ActivationReader | None, how: ReadSettings, tokens: int, around: tuple[int, int] = AROUND
    ) -> None:
        self.vocabulary: Vocabulary = model.vocabulary
        self.reader, self.how, self.tokens, self.around = reader, how, tokens, around
        self.forward = None if reader is None else Forward(model, reader.sites)

    def of(self, known: Sequence[Source], found: Examples) -> Iterator[tuple[int, Context]]:
        """The number of each example and its context, in the order of the corpus. Documents that are gone give none."""
        members: defaultdict[int, list[int]] = defaultdict(list)
        for number, document in enumerate(found.document.tolist()):
            members[document].append(number)
        held: list[Document] = []
        for text in Document.fetch(known, members):
            held.append(text)
            if len(held) >= TOGETHER:
                yield from self._of_texts(held, found, members)
                held = []
        yield from self._of_texts(held, found, members)

    def _of_texts(self, texts: Sequence[Document], found: Examples, members: dict[int, list[int]]) -> Iterator[tuple[int, Context]]:
        ids = {text.number: self.vocabulary.encode(text.text) for text in texts}
        values = self._activations(ids, found, members)
        for number, text, _ in texts:
            spans = None if self.vocabulary.spans is None else self.vocabulary.spans(text)
            for member in members[number]:
                place = int(found.position[member])
                begin, end = self._edges(place, len(ids[number]))
                acts = None if values is None else values[member][: end - begin].tolist()
                yield member, self._context(text, ids[number][begin:end], begin, place, None if spans is None else spans[begin:end], acts)

    def _edges(self, place: int, length: int) -> tuple[int, int]:
        """The first token around a place and the one after the last, within the chunk that was read."""
        first = place - place % self.how.room
        return max(place - self.around[0], first), min(place + self.around[1] + 1, first + self.how.room, length)

    def _context(
        self, text: str, ids: list[int], begin: int, place: int, spans: list[tuple[int, int]] | None, acts: list[float] | None
    ) -> Context:
        if spans is None:
            return Context(begin, ids, acts, self.vocabulary.decode(ids), None, None, None, None)
        first, last = spans[0][0], max(end for _, end in spans)
        edges = [edge - first for span in spans for edge in span]
        return Context(begin, ids, acts, text[first:last], first, *spans[place - begin], edges)

    def _activations(
        self, ids: dict[int, list[int]], found: Examples, members: dict[int, list[int]]
    ) -> dict[int, Float[np.ndarray, " w"]] | None:
        """The activations in the context of every example, by its number."""
        if self.forward is None:
            return None
        queue, values = Queue(self.tokens, self.forward.spare, limit=self.how.context), {}
        asked: defaultdict[tuple[int, int], list[int]] = defaultdict(list)
        for document in ids:
            for member in members[document]:
                asked[document, int(found.position[member]) // self.how.room].append(member)
        with torch.inference_mode():
            for document, row in ids.items():
                for chunk in self.how.chunks(document, row):
                    if (document, chunk.begin // self.how.room) in asked and (full := queue.put(chunk)) is not None:
                        values |= self._run(queue, *full, found, asked)
            for full in queue.rest():
                values |= self._run(queue, *full, found, asked)
        return values

    def _run(
        self, queue: Queue, width: int, chunks: list[Chunk], found: Examples, asked: dict[tuple[int, int], list[int]]
    ) -> dict[int, Float[np.ndarray, " w"]]:
        assert self.forward is not None
        assert self.reader is not None
        values, size = {}, sum(self.around) + 1
        for part, states in self.forward.run(chunks, width, queue.rows(width)):
            wanted = [(member, row) for row, chunk in enumerate(part) for member in asked[chunk.document, chunk.begin // self.how.room]]
            member, row = np.array(wanted, np.int64).T
            begin = np.array([self._edges(int(found.position[each]), 1 << 40)[0] for each in member], np.int64)
            lead = np.array([part[each].lead - part[each].begin for each in row], np.int64)
            column = np.minimum((begin + lead)[:, None] + np.arange(size), width - 1)
            target = found.target[member]
            for readout, start in zip(self.reader.parts, self.reader.starts, strict=True):
                acts = readout.values(states)
                here = np.nonzero((target >= start) & (target < start + acts.shape[2]))[0]
                index = (
                    torch.from_numpy(row[here])[:, None],
                    torch.from_numpy(column[here]),
                    torch.from_numpy(target[here] - start)[:, None],
                )
                taken = acts[index].cpu().numpy()
                values |= dict(zip(member[here].tolist(), taken, strict=True))
        return values
