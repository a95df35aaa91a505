"""Statistics of all activations of every target, not of the best places alone.

Moments of all places; a histogram of one place in 16, drawn by hash; a random sample of places with the activations of all targets; and
the best activation in random parts of the corpus: half of its documents, a quarter, and so on.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np

from optigram.scanning.hashing import levels
from optigram.shapes import Float, Int

LEVELS = 24
THINNED = 16  # one place in 16 is in the histogram
OCTAVES = range(-10, 11)
EDGES = np.array([-(2.0**i) for i in reversed(OCTAVES)] + [-1e-38, 0.0] + [2.0**i for i in OCTAVES], np.float32)
BINS = len(EDGES) + 1  # bin i holds values above edge i - 1, up to edge i
NAMED = 10  # documents with a value that is not finite
ZERO = len(OCTAVES) + 1  # the bin of what is exactly 0


@dataclass
class Statistics:
    """Of m targets: `count` places; `sums` [m 4] of the first four powers of values; `histogram` [m bins]; `best` [m levels].

    `broken` [m 1] is how many of the places have a value that is not finite: nothing else counts those, and the sample holds them
    as they are. `broken_in` [d] are the first of the documents with such a place.

    `tokens` [levels] of documents at each level. `priority` [r], ascending, `document`, `position` [r] and `values` [m r] are the
    random sample of at most r places: those with the smallest hashes. The last bits of `sums` depend on the order of addition;
    nothing else does.
    """

    count: int
    broken_in: Int[np.ndarray, " d"]
    broken: Int[np.ndarray, "m 1"]
    sums: Float[np.ndarray, "m 4"]
    histogram: Int[np.ndarray, "m bins"]
    tokens: Int[np.ndarray, " levels"]
    best: Float[np.ndarray, "m levels"]
    priority: Int[np.ndarray, " r"]
    document: Int[np.ndarray, " r"]
    position: Int[np.ndarray, " r"]
    values: Float[np.ndarray, "m r"]

    @classmethod
    def empty(cls, targets: int) -> "Statistics":
        """Statistics of nothing."""
        none = np.zeros(0, np.int64)
        return cls(
            0,
            none,
            np.zeros((targets, 1), np.int64),
            np.zeros((targets, 4)),
            np.zeros((targets, BINS), np.int64),
            np.zeros(LEVELS, np.int64),
            np.full((targets, LEVELS), -np.inf, np.float32),
            *(none, none, none),
            np.zeros((targets, 0), np.float32),
        )

    @staticmethod
    def edge(nearest: Int[np.ndarray, " r"], most: int) -> int:
        """The largest hash with which a place may be in a sample of `most`, given the smallest hashes so far in order."""
        return int(nearest[most - 1]) if 0 < most <= len(nearest) else np.iinfo(np.int64).max if most else -1

    def sampled(self, most: int) -> "Statistics":
        """The same with the `most` places of the smallest hashes."""
        order = np.lexsort((self.position, self.document, self.priority))[:most]
        parts = self.priority[order], self.document[order], self.position[order], self.values[:, order]
        return Statistics(self.count, self.broken_in, self.broken, self.sums, self.histogram, self.tokens, self.best, *parts)

    def copied(self) -> "Statistics":
        """The same in arrays of its own."""
        return Statistics(*(copy.copy(getattr(self, field.name)) for field in fields(self)))

    def count_in(self, other: "Statistics") -> None:
        """Add all but the random sample, in place; the two must not have seen the same places."""
        self.count += other.count
        self.broken_in = _first(self.broken_in, other.broken_in)
        self.broken += other.broken
        self.sums += other.sums
        self.histogram += other.histogram
        self.tokens += other.tokens
        np.maximum(self.best, other.best, out=self.best)

    def with_places(self, places: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray]], values: np.ndarray, most: int) -> "Statistics":
        """The same with more places in the sample (priority, document, position; their values [m n]), of which `most` are kept."""
        parts = [(self.priority, self.document, self.position), *places]
        priority, document, position = (np.concatenate(each) for each in zip(*parts, strict=True))
        values = np.concatenate([self.values, values], axis=1)
        return replace(self, priority=priority, document=document, position=position, values=values).sampled(most)

    def note_tokens(self, documents: Int[np.ndarray, " b"], tokens: Int[np.ndarray, " b"], seed: int) -> Int[np.ndarray, " b"]:
        """Count the tokens of chunks by the level of their documents; return the levels."""
        found = levels(documents, LEVELS, seed)
        np.add.at(self.tokens, found, tokens)
        return found

    def note_broken(self, broken: Int[np.ndarray, " m1"], documents: Int[np.ndarray, " d"], start: int = 0) -> None:
        """Count places that are not finite for the targets from number `start` on, and note the documents that they are in."""
        self.broken[start : start + len(broken), 0] += broken
        self.broken_in = _first(self.broken_in, documents)

    def curve(self) -> tuple[Int[np.ndarray, " n"], Float[np.ndarray, "m n"]]:
        """Tokens of each random part of the corpus, from the smallest, and the best value of every target in it."""
        tokens = self.tokens[::-1].cumsum()
        best = np.maximum.accumulate(self.best[:, ::-1], axis=1)
        seen = np.concatenate([tokens[:1] > 0, np.diff(tokens) > 0])
        return tokens[seen], best[:, seen]

    def moments(self) -> Float[np.ndarray, "m 4"]:
        """Mean, variance, skewness and kurtosis (3 for a normal distribution) of every target; NaN where undefined."""
        first, second, third, fourth = (self.sums / np.maximum(self.count - self.broken, 1)).T
        variance = np.maximum(second - first**2, 0)
        with np.errstate(divide="ignore", invalid="ignore"):
            skewness = (third - 3 * first * second + 2 * first**3) / variance**1.5
            kurtosis = (fourth - 4 * first * third + 6 * first**2 * second - 3 * first**4) / variance**2
        return np.stack([first, variance, skewness, kurtosis], axis=1)


def _first(one: Int[np.ndarray, " a"], other: Int[np.ndarray, " b"]) -> Int[np.ndarray, " d"]:
    """The first documents of both."""
    return np.union1d(one, other)[:NAMED]
