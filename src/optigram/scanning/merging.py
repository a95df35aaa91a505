"""Merges the states of many shards, one after the other, in the memory of two: of each only what can still matter is looked at."""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from optigram.errors import InputError
from optigram.scanning.state import State
from optigram.scanning.statistics import Statistics
from optigram.scanning.top_places import LEAST, Entries, TopPlaces


def merge_states(states: Iterable[State], sample: int) -> State:
    """All states together; their order changes nothing but the last bits of `Statistics.sums`. None of them is changed.

    Raises InputError for states of different plans, or that have a shard in common, and where there is none.
    """
    rest = iter(states)
    first = next(rest, None)
    if first is None:
        raise InputError("expected at least one part of a scan, got none")
    ends, statistics, found = (_Places(first.top), _Places(first.bottom)), _Statistics(first.statistics, sample), first
    for state in rest:
        _check(found, state)
        for end, places in zip(ends, (state.top, state.bottom), strict=True):
            end.add(places)
        statistics.add(state.statistics)
        found = replace(
            found,
            shards=tuple(sorted(found.shards + state.shards)),
            documents=found.documents + state.documents,
            tokens=found.tokens + state.tokens,
            skipped=tuple(sorted({*found.skipped, *state.skipped})),
            seconds=found.seconds + state.seconds,
        )
    top, bottom = (end.ranked() for end in ends)
    return replace(found, top=top, bottom=bottom, statistics=statistics.whole())


def _check(one: State, other: State) -> None:
    if one.plan != other.plan or one.targets != other.targets:
        raise InputError("these parts are of different scans: model, targets, corpus or settings differ; merge those of one plan")
    if common := set(one.shards) & set(other.shards):
        raise InputError(f"shard {min(common)} is in two of these parts, and would count twice; merge each shard once")


class _Places:
    """The best places so far, and those of later states that may be better, which are ranked when they are many."""

    def __init__(self, first: TopPlaces) -> None:
        self.best, self.waiting, self.count = first.copied(), [], 0
        self.enough = max(LEAST, first.score.size)

    def add(self, other: TopPlaces) -> None:
        """Take the places that reach the edge."""
        found = other.reaching(self.best.edge)
        self.waiting.append(found)
        self.count += len(found)
        if self.count >= self.enough:
            self.ranked()

    def ranked(self) -> TopPlaces:
        """The best places of all states so far."""
        if self.count:
            self.best.add(Entries.joined(self.waiting))
        self.waiting, self.count = [], 0
        return self.best


class _Statistics:
    """The statistics so far, and those places of later samples that may be drawn, which are joined when they are many."""

    def __init__(self, first: Statistics, most: int) -> None:
        self.seen, self.most = first.sampled(most).copied(), most
        self.nearest = self.seen.priority
        self.places: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
        self.values: list[np.ndarray] = []

    def add(self, other: Statistics) -> None:
        """Count what another state has seen."""
        self.seen.count_in(other)
        drawn = np.nonzero(other.priority <= Statistics.edge(self.nearest, self.most))[0]
        if len(drawn):
            self.places.append((other.priority[drawn], other.document[drawn], other.position[drawn]))
            self.values.append(other.values[:, drawn])
            self.nearest = np.sort(np.concatenate([self.nearest, other.priority[drawn]]))[: self.most]
        if sum(part.shape[1] for part in self.values) > self.most:
            self.whole()

    def whole(self) -> Statistics:
        """The statistics of all states so far."""
        if self.places:
            self.seen = self.seen.with_places(self.places, np.concatenate(self.values, axis=1), self.most)
        self.places, self.values = [], []
        return self.seen
