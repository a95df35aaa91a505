"""Batches whose best places wait on the device: those of several batches are looked for together, and read back once."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from optigram.scanning.chunks import Batch, Chunk
from optigram.scanning.top_places import Candidates, Entries
from optigram.shapes import Bool, Float, Int

HELD, HELD_FAR = 1 << 28, 1 << 31  # bytes of activations that may wait, on a CPU and on other devices
MOST = 64  # batches that may wait
SPARE = 8  # one more place for every 8 that are kept is taken at first, since places with equal folds are kept once


@dataclass(frozen=True)
class _Batch:
    """Activations `values`, one tensor [b s m] per part of the reader, and of each chunk and target the highest and the lowest [b m].

    `first` [b] is the first position of each chunk that counts, `counted` [b s] which count; `broken`: whether some may not be finite.
    """

    batch: Batch
    chunks: Sequence[Chunk]
    values: Sequence[Float[Tensor, "b s _"]]
    high: Float[Tensor, "b m"]
    low: Float[Tensor, "b m"]
    document: Int[Tensor, " b"]
    first: Int[Tensor, " b"]
    counted: Bool[Tensor, "b s"]
    broken: bool


class Held:
    """Batches that wait, and the places of theirs that may be among the best, which go to `ends` (1: the highest, -1: the lowest)."""

    ends: dict[int, Candidates]
    starts: Sequence[int]
    most: int

    def __init__(self, ends: dict[int, Candidates], starts: Sequence[int], most: int) -> None:
        self.ends, self.starts, self.most = ends, starts, most
        self.batches: list[_Batch] = []
        self.bytes = 0

    def add(
        self,
        batch: Batch,
        chunks: Sequence[Chunk],
        values: Sequence[Float[Tensor, "b s _"]],
        ends: tuple[Float[Tensor, "b m"], Float[Tensor, "b m"]],
        places: tuple[Int[Tensor, " b"], Int[Tensor, " b"], Bool[Tensor, "b s"]],
        broken: bool,
    ) -> bool:
        """Let a batch wait; return whether it is time to take the places of all.

        `values` are its activations by part of the reader, `ends` the highest and the lowest of each chunk; `places` are the document of
        each chunk, its first position that counts, and which positions count. `broken`: whether some values may not be finite.
        """
        self.batches.append(_Batch(batch, chunks, values, *ends, *places, broken))
        self.bytes += sum(part.nbytes for part in values)
        near = ends[0].device.type == "cpu"
        if near and not self._filling:
            return True  # to wait would save nothing
        return self.bytes + self.bytes // len(self.batches) > (HELD if near else HELD_FAR) or len(self.batches) >= MOST

    @property
    def _filling(self) -> bool:
        return any(end.filling for end in self.ends.values())

    def take(self) -> None:
        """Give `ends` every place that may be among the best of its target.

        While lists are not full every place may. Then only the best of each target are taken at first, and, once they are ranked, the
        others that still may be.
        """
        if not self.batches:
            return
        peak = torch.cat([torch.cat([held.high, -held.low], dim=1) for held in self.batches])
        document = torch.cat([held.document for held in self.batches])
        count = self.ends[1].top_places.score.shape[1]
        count += count // SPARE + 1
        if len(peak) > count and self._filling:
            cut = peak.topk(count, dim=0).values[-1]
            self._give(self._reaching(peak, document) & (peak >= cut), last=False)
            for end in self.ends.values():
                end.settle()
            self._give(self._reaching(peak, document) & (peak < cut), last=True)
        else:
            self._give(self._reaching(peak, document), last=True)
        self.batches, self.bytes = [], 0

    def _reaching(self, peak: Float[Tensor, "d e"], document: Int[Tensor, " d"]) -> Bool[Tensor, "d e"]:
        """Which peaks are above the edge of their target, or equal to it in a document that is not later."""
        edges = [end.edge_on(peak.device) for end in self.ends.values()]
        edge, latest = (torch.cat(parts) for parts in zip(*edges, strict=True))
        return (peak > edge) | ((peak == edge) & (document[:, None] <= latest) & (peak > -torch.inf))

    def _give(self, chosen: Bool[Tensor, "d e"], last: bool) -> None:
        """Give the chosen ones, and with the `last` tell that the chunks have been read."""
        row, column = torch.nonzero(chosen).T.cpu().numpy()
        m = chosen.shape[1] // 2
        found = self._entries(row, column % m, np.where(column < m, 1, -1)) if len(row) else {1: _NONE, -1: _NONE}
        chunks = [chunk for held in self.batches for chunk in held.chunks]
        for sign, end in self.ends.items():
            end.add(found[sign], chunks, last)

    def _entries(self, row: Int[np.ndarray, " e"], target: Int[np.ndarray, " e"], sign: Int[np.ndarray, " e"]) -> dict[int, Entries]:
        """The best `most` places of each row (a chunk, counted over all batches) for a target, by sign."""
        begins = np.cumsum([0, *(len(held.high) for held in self.batches)])
        number = np.searchsorted(begins, row, side="right") - 1
        part = np.searchsorted(self.starts, target, side="right") - 1
        group = number * len(self.starts) + part
        order = np.argsort(group.astype(np.int16 if len(begins) * len(self.starts) < 1 << 15 else np.int64), kind="stable")
        row, target, sign, number, part, group = (each[order] for each in (row, target, sign, number, part, group))
        row, within = row - begins[number], target - np.asarray(self.starts)[part]
        device = self.batches[0].high.device
        rows, columns, signs = Batch.uploaded((row, within, sign), device)
        edges = np.flatnonzero(np.diff(group, prepend=-1, append=-1)).tolist()
        scores, positions = [], []
        for begin, end in itertools.pairwise(edges):
            held = self.batches[int(number[begin])]
            some = slice(begin, end)
            score, position = _best(held, held.values[int(part[begin])], rows[some], columns[some], signs[some], self.most)
            scores.append(score)
            positions.append(position)
        found = torch.stack([torch.cat(scores).float(), torch.cat(positions).float()]).cpu().numpy()
        score, position = found[0] + np.float32(0), found[1].astype(np.int64)  # no -0, which would compare as another score
        return self._by_sign(score, position, number, row, target, sign)

    def _by_sign(
        self,
        score: Float[np.ndarray, "e n"],
        position: Int[np.ndarray, "e n"],
        number: Int[np.ndarray, " e"],
        row: Int[np.ndarray, " e"],
        target: Int[np.ndarray, " e"],
        sign: Int[np.ndarray, " e"],
    ) -> dict[int, Entries]:
        document, place, fold = (np.empty(score.shape, np.int64) for _ in range(3))
        edges = np.searchsorted(number, np.arange(len(self.batches) + 1)).tolist()
        for held, begin, end in zip(self.batches, edges, edges[1:], strict=False):
            some, batch = slice(begin, end), held.batch
            rows, places = row[some, None], position[some]
            document[some] = batch.document[rows]
            place[some], fold[some] = batch.place[rows, places], batch.fold[rows, places]
        target = np.broadcast_to(target[:, None], score.shape)
        kept = score > -np.inf
        whole = {one: kept & (sign[:, None] == one) for one in self.ends}
        return {
            one: Entries(target[some], score[some], document[some], place[some].astype(np.int32), fold[some]) for one, some in whole.items()
        }


_NONE = Entries(*(np.zeros(0, kind) for kind in (np.int64, np.float32, np.int64, np.int32, np.int64)))


def _best(
    held: _Batch, values: Float[Tensor, "b s _"], row: Int[Tensor, " e"], column: Int[Tensor, " e"], sign: Int[Tensor, " e"], most: int
) -> tuple[Float[Tensor, "e n"], Int[Tensor, "e n"]]:
    """The best `most` scores of rows for targets, `sign` times the value, and their positions; among equal ones the first is the best."""
    scores = values[row, :, column] * sign[:, None]
    if held.broken:
        scores = scores.masked_fill(~scores.isfinite(), -torch.inf)
    if most == 1:
        # positions that do not count hold the value of the first that does, so what comes before that one stands for it
        position = torch.maximum(scores.argmax(1), held.first[row])[:, None]
    else:
        scores = scores.masked_fill(~held.counted[row], -torch.inf)
        position = scores.sort(dim=1, descending=True, stable=True).indices[:, :most]
    return scores.gather(1, position), position
