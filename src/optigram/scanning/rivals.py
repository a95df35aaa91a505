"""Rivals: candidates on their way to the leaders, gathered until there are enough for one look."""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from optigram.scanning.leaders import Entries, Leaders, joined_entries
from optigram.scanning.pieces import Piece
from optigram.scanning.settings import Settings

LEAST = 1 << 16  # candidates that are looked through together, at the least
LISTS = 1 << 8  # lists of candidates that may wait, however short they are


class Rivals:
    """Candidates on their way to the leaders: those of a document of several pieces wait until all of it has been read."""

    def __init__(self, targets: int, settings: Settings):
        self.leaders = Leaders.empty(targets, settings.top)
        self.most = settings.per_document
        self.enough = max(LEAST, targets * settings.top)
        self.ready: list[Entries] = []
        self.open: defaultdict[int, list[Entries]] = defaultdict(list)
        self.missing: dict[int, int] = {}
        self._edge: Tensor | None = None

    def edge_on(self, device: torch.device) -> Tensor:
        """The score [m] that a candidate must have."""
        if self._edge is None:
            self._edge = torch.from_numpy(self.leaders.edge.copy()).to(device)
        return self._edge

    def add(self, found: Entries, pieces: Sequence[Piece]) -> None:
        """Take the candidates of a batch of pieces."""
        several = [piece for piece in pieces if piece.pieces > 1]
        if several:
            long = np.isin(found.document, [piece.document for piece in several])
            for document in np.unique(found.document[long]).tolist():
                self.open[document].append(found.chosen(found.document == document))
            found = found.chosen(~long)
            for piece in several:
                self._finish(piece)
        if len(found):
            self.ready.append(found)
        if len(self.ready) >= LISTS or sum(map(len, self.ready)) >= self.enough:
            self.settle()

    def settle(self) -> None:
        """Let all candidates that are ready compete."""
        if self.ready:
            self.leaders.add(joined_entries(self.ready))
        self.ready, self._edge = [], None

    def _finish(self, piece: Piece) -> None:
        """Count a piece of a long document as read; after the last one its candidates are ready, no more than wanted of a target."""
        left = self.missing.pop(piece.document, piece.pieces) - 1
        if left:
            self.missing[piece.document] = left
            return
        if piece.document not in self.open:
            return
        whole = joined_entries(self.open.pop(piece.document)).ranked()
        self.ready.append(whole.first_of(whole.document, self.most))
