"""Batches whose best places wait on the device: those of several batches are looked for together, and read back once."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from optigram.scanning.chunks import Batch, Chunk
from optigram.scanning.peaks import Peaks
from optigram.scanning.top_places import Candidates, Entries
from optigram.shapes import Bool, Float, Int

HELD, HELD_FAR = 1 << 28, 1 << 31  # bytes that may wait, on a CPU and on other devices
MOST = 64  # batches that may wait
SPARE = 8  # one more place for every 8 that are kept is taken at first, since places with equal folds are kept once
MORE = 2  # times as many are taken next, of the targets whose lists are not full then
GROUP = 4  # chunks of which only the best one is ranked, to find out about how high the best places are
LOWEST = np.finfo(np.float32).min  # of what is finite


@dataclass(frozen=True)
class _Batch:
    """A batch of chunks with its peaks, and, where their positions are not known, activations `values`, a tensor [b s m] per part.

    `first` [b] is the first position of each chunk that counts, `counted` [b s] which count.
    """

    batch: Batch
    chunks: Sequence[Chunk]
    peaks: Peaks
    values: Sequence[Float[Tensor, "b s _"]]
    first: Int[Tensor, " b"]
    counted: Bool[Tensor, "b s"]

    def position(self, part: int, row: Int[Tensor, " e"], column: Int[Tensor, " e"], sign: Int[Tensor, " e"]) -> Int[Tensor, "e 1"]:
        """Where rows reach their best score for targets, which is `sign` times the value: the first such position that counts."""
        # positions that do not count hold the value of the first that does, so what comes before that one stands for it
        return torch.maximum(self._scores(part, row, column, sign).argmax(1), self.first[row])[:, None]

    def several(
        self, part: int, row: Int[Tensor, " e"], column: Int[Tensor, " e"], sign: Int[Tensor, " e"], most: int
    ) -> tuple[Float[Tensor, "e n"], Int[Tensor, "e n"]]:
        """The best `most` scores of rows and their positions; among equal ones the first is the best."""
        scores = self._scores(part, row, column, sign).masked_fill(~self.counted[row], -torch.inf)
        position = scores.sort(dim=1, descending=True, stable=True).indices[:, :most]
        return scores.gather(1, position), position

    def _scores(self, part: int, row: Int[Tensor, " e"], column: Int[Tensor, " e"], sign: Int[Tensor, " e"]) -> Float[Tensor, "e s"]:
        scores = self.values[part][row, :, column] * sign[:, None]
        return scores if self.peaks.broken is None else scores.masked_fill(~scores.isfinite(), -torch.inf)


@dataclass(frozen=True)
class _Scores:
    """Scores [d c] of d chunks for some lists, whose numbers are `columns` [c]; and where they are reached, if that is known."""

    score: Float[Tensor, "d c"]
    position: Int[Tensor, "d c"] | None
    columns: Int[np.ndarray, " c"]

    @classmethod
    def of(cls, peaks: Sequence[Peaks]) -> "_Scores":
        score = torch.cat([one.score for one in peaks])
        positions = [one.position for one in peaks if one.position is not None]
        return cls(score, torch.cat(positions) if positions else None, np.arange(score.shape[1]))

    def only(self, which: Int[np.ndarray, " w"]) -> "_Scores":
        """Those of some of the lists."""
        if len(which) == len(self.columns):
            return self
        (there,) = Batch.uploaded([which], self.score.device)
        position = None if self.position is None else self.position[:, there]
        return _Scores(self.score[:, there], position, self.columns[which])

    def cut(self, count: int) -> Float[Tensor, " c"]:
        """At the most the score that is number `count` of each list from above, and little less.

        Of many chunks only the best of every few are ranked, which takes a part of the time.
        """
        groups = len(self.score) // GROUP
        some = self.score if groups < GROUP * count else self.score[: groups * GROUP].unflatten(0, (groups, GROUP)).amax(1)
        return some.topk(count, dim=0).values[-1]

    def between(
        self, low: Float[np.ndarray, " c"], cut: Float[Tensor, " c"] | None, ceiling: Float[Tensor, " c"] | None
    ) -> tuple[Int[np.ndarray, " e"], Int[np.ndarray, " e"], Float[np.ndarray, " e"], Int[np.ndarray, "e 1"] | None]:
        """Row, list, score and position of what is at least `low` and the `cut`, and below the `ceiling`; read back once."""
        (bound,) = Batch.uploaded([low], self.score.device)
        chosen = self.score >= (bound if cut is None else torch.maximum(bound, cut))
        if ceiling is not None:
            chosen &= self.score < ceiling
        row, column = torch.nonzero(chosen).T
        found = [row, column, self.score[row, column].float().view(torch.int32)]
        if self.position is not None:
            found.append(self.position[row, column])
        row, column, score, *position = torch.stack([part.long() for part in found]).cpu().numpy()
        scores = score.astype(np.int32).view(np.float32) + np.float32(0)  # no -0, which would compare as another score
        return row, self.columns[column], scores, position[0][:, None] if position else None


class Held:
    """Batches that wait, and the places of theirs that may be among the best, which go to `ends` (1: the highest, -1: the lowest)."""

    ends: dict[int, Candidates]
    starts: Sequence[int]
    most: int

    def __init__(self, ends: dict[int, Candidates], starts: Sequence[int], most: int) -> None:
        self.ends, self.starts, self.most = ends, starts, most
        self.batches: list[_Batch] = []
        self.bytes, self.filling = 0, True  # whether some list may not be full

    def add(
        self,
        batch: Batch,
        chunks: Sequence[Chunk],
        values: Sequence[Float[Tensor, "b s _"]],
        peaks: Peaks,
        places: tuple[Int[Tensor, " b"], Bool[Tensor, "b s"]],
    ) -> bool:
        """Let a batch wait; return whether it is time to take the places of all.

        `values` are its activations by part of the reader; `places` are the first position of each chunk that counts, and which count.
        """
        kept = values if peaks.position is None else ()
        self.batches.append(_Batch(batch, chunks, peaks, kept, *places))
        self.bytes += sum(part.nbytes for part in kept) if peaks.position is None else peaks.score.nbytes + peaks.position.nbytes
        near = peaks.score.device.type == "cpu"
        if near and not self.filling:
            return True  # to wait would save nothing
        return self.bytes + self.bytes // len(self.batches) > (HELD if near else HELD_FAR) or len(self.batches) >= MOST

    @property
    def _open(self) -> Bool[np.ndarray, " e"]:
        """Which lists are not full, first those of the highest places of all targets."""
        return np.concatenate([end.top_places.document[:, -1] < 0 for end in self.ends.values()])

    @property
    def _edge(self) -> Float[np.ndarray, " e"]:
        """The least score that a place needs for each list."""
        return np.concatenate([end.top_places.edge for end in self.ends.values()])

    def take(self) -> None:
        """Give `ends` every place that may be among the best of its target.

        Of a list that is not full every place may. Then only the best ones are taken at first, and, once they are ranked, more of those
        that still may be.
        """
        if not self.batches:
            return
        scores, full = _Scores.of([held.peaks for held in self.batches]), ~self._open
        if full.any():
            self._give(scores.only(np.flatnonzero(full)))
        self._fill(scores.only(np.flatnonzero(~full)))
        chunks = [chunk for held in self.batches for chunk in held.chunks]
        for end in self.ends.values():
            end.add(_NONE, chunks)
        self.batches, self.bytes, self.filling = [], 0, bool(self._open.any())

    def _fill(self, scores: _Scores) -> None:
        """Give the best of lists that are not full, until none of the others can be among the best."""
        top = self.ends[1].top_places.score.shape[1]
        count, ceiling = top + top // SPARE + 1, None
        while len(scores.columns):
            cut = scores.cut(count) if count < len(scores.score) else None
            self._give(scores, cut, ceiling)
            if cut is None:
                return
            for end in self.ends.values():
                end.settle()
            left = np.flatnonzero(self._edge[scores.columns] < cut.cpu().numpy())
            ceiling = cut[Batch.uploaded([left], cut.device)[0]]
            scores, count = scores.only(left), count * MORE

    def _give(self, scores: _Scores, cut: Float[Tensor, " c"] | None = None, ceiling: Float[Tensor, " c"] | None = None) -> None:
        """Give what reaches the edge of its list: what is above it, or equal to it in a document that is not later."""
        edge = self._edge
        row, column, score, position = scores.between(np.maximum(edge[scores.columns], LOWEST), cut, ceiling)
        if (tied := score <= edge[column]).any():
            latest = np.concatenate([end.top_places.document[:, -1] for end in self.ends.values()])
            document = np.concatenate([held.batch.document for held in self.batches])
            kept = ~tied | (document[row] <= latest[column])
            row, column, score, position = row[kept], column[kept], score[kept], None if position is None else position[kept]
        if len(row):
            chunks = [chunk for held in self.batches for chunk in held.chunks]
            for sign, found in self._entries(row, column, score[:, None], position).items():
                self.ends[sign].add(found, chunks, last=False)

    def _entries(
        self,
        row: Int[np.ndarray, " e"],
        column: Int[np.ndarray, " e"],
        score: Float[np.ndarray, "e n"],
        position: Int[np.ndarray, "e n"] | None,
    ) -> dict[int, Entries]:
        """The best `most` places of each row (a chunk, counted over all batches) for a list, by sign."""
        begins = np.cumsum([0, *(len(held.chunks) for held in self.batches)])
        number = np.searchsorted(begins, row, side="right") - 1
        row, m = row - begins[number], len(self.ends[1].top_places.score)
        sign = np.where(column < m, 1, -1)
        target = np.where(column < m, column, column - m)
        if position is None:
            order, score, position = self._looked_for(number, row, target, sign, score)
            number, row, target, sign = (each[order] for each in (number, row, target, sign))
        return self._by_sign(score, position, number, row, target, sign)

    def _looked_for(
        self,
        number: Int[np.ndarray, " e"],
        row: Int[np.ndarray, " e"],
        target: Int[np.ndarray, " e"],
        sign: Int[np.ndarray, " e"],
        score: Float[np.ndarray, "e 1"],
    ) -> tuple[Int[np.ndarray, " e"], Float[np.ndarray, "e n"], Int[np.ndarray, "e n"]]:
        """The order in which places are looked for, by batch and part of the reader; and in it their scores and positions."""
        part = np.searchsorted(self.starts, target, side="right") - 1
        group = number * len(self.starts) + part
        order = np.argsort(group.astype(np.int16 if len(self.batches) * len(self.starts) < 1 << 15 else np.int64), kind="stable")
        within = target - np.asarray(self.starts)[part]
        rows, columns, signs = Batch.uploaded([each[order] for each in (row, within, sign)], self.batches[0].peaks.score.device)
        group = group[order]
        edges = np.flatnonzero(np.diff(group, prepend=-1, append=-1)).tolist()
        scores, positions = [], []
        for begin, end in itertools.pairwise(edges):
            held, some = self.batches[int(group[begin]) // len(self.starts)], slice(begin, end)
            there = rows[some], columns[some], signs[some]
            if self.most == 1:
                positions.append(held.position(int(group[begin]) % len(self.starts), *there))
            else:
                best = held.several(int(group[begin]) % len(self.starts), *there, self.most)
                scores.append(best[0])
                positions.append(best[1])
        position = torch.cat(positions)
        if not scores:
            return order, score[order], position.cpu().numpy()
        found = torch.stack([torch.cat(scores).float().view(torch.int32).long(), position]).cpu().numpy()
        return order, found[0].astype(np.int32).view(np.float32) + np.float32(0), found[1]

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
