"""A batch of pieces as arrays: which place of which document each position is, and which positions count."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from optigram.scanning.hashing import folds, of_places
from optigram.scanning.pieces import Piece
from optigram.shapes import Bool, Float, Int


@dataclass(frozen=True)
class Batch:
    """Of b pieces filled up to s positions: `document`, `begin`, `lead` [b], `counted`, `fold`, `chance` [b s].

    `chance` is the hash of the place. A position is place `begin - lead + position` of its document, which is `place` [b s].
    """

    document: Int[np.ndarray, " b"]
    place: Int[np.ndarray, "b s"]
    counted: Bool[np.ndarray, "b s"]
    fold: Int[np.ndarray, "b s"]
    chance: Int[np.ndarray, "b s"]

    @classmethod
    def of(cls, pieces: Sequence[Piece], width: int, fold: int, seed: int) -> "Batch":
        """The arrays of some pieces."""
        counted, ids = np.zeros((len(pieces), width), dtype=bool), np.full((len(pieces), width), -1, np.int64)
        for row, piece in enumerate(pieces):
            counted[row, : len(piece.ids)] = piece.counted
            ids[row, piece.lead : len(piece.ids)] = piece.ids[piece.lead :]
        document = np.array([piece.document for piece in pieces], np.int64)
        place = np.array([[piece.begin - piece.lead] for piece in pieces], np.int64) + np.arange(width)
        chance = of_places(np.repeat(document, width), place.ravel(), seed).reshape(place.shape)
        lead = pieces[0].lead
        fold_of = np.zeros(place.shape, np.int64)
        fold_of[:, lead:] = folds(ids[:, lead:], fold)
        return cls(document, place, counted, fold_of, chance)

    @property
    def tokens(self) -> Int[np.ndarray, " b"]:
        """How many positions of each piece count."""
        return self.counted.sum(1)


def evened(values: Float[Tensor, "b s m"], counted: Bool[np.ndarray, "b s"]) -> Float[Tensor, "b s m"]:
    """The values, with those of positions that do not count replaced by others of the same piece, so that a maximum may be taken over all.

    This changes the states themselves, which nobody reads afterwards.
    """
    values = values.contiguous()
    row, position = np.nonzero(~counted)
    if len(row):
        first = counted.argmax(1)
        flat, width = values.flatten(0, 1), counted.shape[1]
        flat[torch.from_numpy(row * width + position)] = flat[torch.from_numpy(row * width + first[row])]
    return values
