"""Merging the parts of a scan: one after the other in bounded memory, to ranking all places of two states at a time."""

import tempfile
import time
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
from benchmarks.setup import Result, Settings, Unit

from optigram.scanning.state import State
from optigram.scanning.statistics import BINS, LEVELS, Statistics
from optigram.scanning.top_places import TopPlaces

TOP, SAMPLE = 20, 200


def merging(settings: Settings, unit: Unit, seed: int) -> list[Result]:
    """Processor seconds per part from file to merged state, the bytes of a file, and the largest memory beside that of a state."""
    count, pairs = settings.option("parts", 100), settings.option("pairs", 10)
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{number}.parquet" for number in range(count)]
        for number, path in enumerate(paths):
            _part(number, settings.targets, np.random.default_rng([seed, number])).write(path)
        begun = time.process_time()
        State.merged(map(State.read, paths), SAMPLE)
        seconds = (time.process_time() - begun) / count
        some = list(map(State.read, paths[:pairs]))
        begun = time.process_time()
        expected = _two_by_two(some)
        ranking = (time.process_time() - begun) / pairs
        begun = time.process_time()
        again = State.merged(some, SAMPLE)
        own = (time.process_time() - begun) / pairs
        begun = time.process_time()
        for path in paths[:pairs]:
            State.read(path)
        reading = (time.process_time() - begun) / pairs
        assert all(np.array_equal(a, b) for a, b in zip(vars(again.top).values(), vars(expected).values(), strict=True))
        tracemalloc.start()
        State.merged(map(State.read, paths[:20]), SAMPLE)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        size = sum(path.stat().st_size for path in paths) / count
    times = {"seconds": seconds, "reading": reading, "own": own, "two_by_two": ranking + reading}
    return [Result(times | {"ratio": seconds / (ranking + reading), "file": size / 1e6, "peak": peak / 1e6})]


def _part(number: int, targets: int, rng: np.random.Generator) -> State:
    """A state of drawn places, as a shard of many documents leaves one."""

    def places() -> TopPlaces:
        score = np.sort(rng.gumbel(size=(targets, TOP)).astype(np.float32), axis=1)[:, ::-1] + np.float32(3)
        document = rng.integers(0, 1 << 30, (targets, TOP)) + (number << 32)
        position, fold = rng.integers(0, 256, (targets, TOP)).astype(np.int32), rng.integers(1, 1 << 62, (targets, TOP))
        return TopPlaces(np.ascontiguousarray(score), document, position, fold)

    drawn = np.sort(rng.integers(0, 1 << 62, SAMPLE)), rng.integers(0, 1 << 30, SAMPLE) + (number << 32), rng.integers(0, 256, SAMPLE)
    histogram, best = rng.poisson(2000, (targets, BINS)), rng.gumbel(size=(targets, LEVELS)).astype(np.float32)
    values = rng.normal(size=(targets, SAMPLE)).astype(np.float32)
    sums, none = rng.normal(size=(targets, 4)), (np.zeros(0, np.int64), np.zeros((targets, 1), np.int64))
    statistics = Statistics(1 << 20, *none, sums, histogram, np.full(LEVELS, 9), best, *drawn, values)
    names = tuple(f"mlp_act.0:{unit}" for unit in range(targets))
    return State("plan", names, (number,), places(), places(), statistics, 1000, 1 << 20, (), 1.0)


def _two_by_two(states: list[State]) -> TopPlaces:
    """The best places of states, all of which are ranked with all so far; their samples are joined before they are cut."""
    top, bottom, statistics = states[0].top, states[0].bottom, states[0].statistics
    for state in states[1:]:
        top, bottom = _ranked(top, state.top), _ranked(bottom, state.bottom)
        seen = state.statistics
        joined = {
            name: np.concatenate([getattr(statistics, name), getattr(seen, name)], axis=-1)
            for name in ("priority", "document", "position", "values")
        }
        sums, histogram, best = statistics.sums + seen.sums, statistics.histogram + seen.histogram, np.maximum(statistics.best, seen.best)
        statistics = replace(statistics, sums=sums, histogram=histogram, best=best, **joined).sampled(SAMPLE)
    return top


def _ranked(one: TopPlaces, other: TopPlaces) -> TopPlaces:
    """The best places of both, by sorts of all of them."""
    m = len(one.score)
    score, document, position, fold = (np.concatenate(pair, axis=1).ravel() for pair in zip(_arrays(one), _arrays(other), strict=True))
    target = np.repeat(np.arange(m), len(score) // m)
    order = np.lexsort((position, document, -score, target))
    score, document, position, fold, target = (each[order] for each in (score, document, position, fold, target))
    by_fold = np.lexsort((np.arange(len(fold)), fold, target))
    again = np.zeros(len(fold), dtype=bool)
    again[by_fold[1:]] = (target[by_fold[1:]] == target[by_fold[:-1]]) & (fold[by_fold[1:]] == fold[by_fold[:-1]])
    score, document, position, fold, target = (each[~again] for each in (score, document, position, fold, target))
    rank = np.arange(len(target)) - np.searchsorted(target, target)
    kept, found = rank < TOP, TopPlaces.empty(m, TOP)
    for array, values in zip(_arrays(found), (score, document, position, fold), strict=True):
        array[target[kept], rank[kept]] = values[kept]
    return found


def _arrays(places: TopPlaces) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    return places.score, places.document, places.position, places.fold
