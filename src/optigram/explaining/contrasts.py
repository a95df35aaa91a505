"""Contrasts: pairs of texts that differ little while the activations differ much."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from optigram.explaining.evidence import Contrast, Example
from optigram.explaining.exact import Exact, Ids, Scale
from optigram.explaining.pool import Pool
from optigram.explaining.slots import FIRES, Built
from optigram.methods import Corpus
from optigram.shapes import Float

NEAR, STEEP = 32, 64  # words tried at a place: those nearest by embedding, and those that the gradient ranks highest
PER_KIND = 3  # contrasts of a kind
ALIKE, COMPARED, TRIED = 0.6, 8, 512  # share of words in common; high texts compared with; n-grams judged
SAMPLED = 4096  # n-grams compared by embedding
SILENT = 0.25  # share of the maximum below which a near miss is silent
ORDERS = 720  # orders of a text that are judged at most

Edits = Callable[[Ids], Iterator[Ids]]


@dataclass(frozen=True)
class Contrasts:
    """Finds contrasts of a target. A text fires at half of the maximum, counted from the scale's base."""

    exact: Exact
    scale: Scale
    top: float
    seed: int

    @property
    def half(self) -> float:
        """Where a text fires."""
        return self.scale.level(FIRES, self.top)

    def of(self, built: Sequence[Built], texts: Sequence[Ids], searched: set[Ids], read: Corpus | None) -> list[Contrast]:
        """Contrasts of every kind, from high `texts`, best first, of which some were `searched` for, and the n-grams of a corpus."""
        high = [text for text in texts if self.exact.score([text])[0] >= self.half]
        source = dict.fromkeys(searched, "search")
        starts = Pool.unlike(high, PER_KIND)
        found = [
            *(self._contrast("off", text, other, source) for text in starts if (other := self._off(text))),
            *(self._contrast("order", text, other, source) for text in starts if (other := self._reordered(text))),
            *(self._contrast("inhibits", one.core, other, source) for one in built if (other := self._inhibited(one))),
        ]
        if read is None:
            return found
        misses = self._near_misses(high, read)
        found += [self._contrast("near miss", miss, text, source, "corpus") for text, miss in misses]
        found += [self._contrast("on", miss, other, source) for _, miss in misses if (other := self._on(miss))]
        return found + [self._contrast("surprise", text, built[0].core, source) for text in self._surprises(built, high, searched)]

    def _contrast(self, kind: str, text: Ids, other: Ids, source: dict[Ids, str], default: str = "edit") -> Contrast:
        values = self.exact.score([text, other])
        one, two = (self.exact.text(ids) for ids in (text, other))
        sources = source.get(text, "corpus"), source.get(other, "corpus" if default == "corpus" else "edit")
        return Contrast(kind, Example(one, float(values[0]), sources[0]), Example(two, float(values[1]), sources[1]))

    def _off(self, text: Ids) -> Ids | None:
        """The text with one or two words replaced or left out, silent; of these the one whose new words are most like the old ones."""
        return self._edited(text, self._nearby, lambda values: values < self.half, lambda values: values.argmin())

    def _on(self, text: Ids) -> Ids | None:
        """The text with one or two words replaced, firing."""
        return self._edited(text, self._steep, lambda values: values >= self.half, lambda values: values.argmax())

    def _edited(
        self, text: Ids, edits: Edits, reached: Callable[[np.ndarray], np.ndarray], best: Callable[[np.ndarray], np.intp]
    ) -> Ids | None:
        """The first of the edits that reaches what is asked for, or of those of the best edit."""
        for _ in range(2):
            tried = list(dict.fromkeys(edits(text)))
            if not tried:
                return None
            values = self.exact.score(tried)
            if (there := reached(values)).any():
                return tried[int(there.argmax())]
            text = tried[int(best(values))]
        return None

    def _nearby(self, text: Ids) -> Iterator[Ids]:
        """The text with each word replaced by words nearest to it, the nearest first; then without each word."""
        table = self.exact.objective.table.cpu().numpy()
        unit = table / np.maximum(np.linalg.norm(table, axis=1, keepdims=True), 1e-9)
        tried = []
        for place, word in enumerate(text):
            own = self.exact.embedded([(word,)])[0]
            like = unit @ (own / max(float(np.linalg.norm(own)), 1e-9))
            for row in (-like).argsort(kind="stable")[: NEAR + 1].tolist():
                tried.append((float(like[row]), (*text[:place], int(self.exact.words[row]), *text[place + 1 :])))
        yield from (other for _, other in sorted(tried, key=lambda pair: -pair[0]) if other != text)
        if len(text) > 1:
            yield from (text[:place] + text[place + 1 :] for place in range(len(text)))

    def _steep(self, text: Ids) -> Iterator[Ids]:
        """The text with each word replaced by those that the gradient ranks highest."""
        for place in range(len(text)):
            for word in self.exact.ranked(text, place, STEEP)[: 4 * STEEP]:
                yield (*text[:place], word, *text[place + 1 :])

    def _reordered(self, text: Ids) -> Ids | None:
        """The lowest order of its words, if it is silent."""
        orders = list(dict.fromkeys(itertools.islice(itertools.permutations(text), ORDERS)))
        values = self.exact.score(orders)
        return orders[int(values.argmin())] if values.min() < self.half else None

    def _inhibited(self, built: Built) -> Ids | None:
        """The core with the word added that lowers it most."""
        if not built.without:
            return None
        place = max(place for place, open_ in enumerate(built.open) if open_)
        return (*built.core[:place], built.without[0][0], *built.core[place:])

    def _near_misses(self, high: Sequence[Ids], read: Corpus) -> list[tuple[Ids, Ids]]:
        """Silent n-grams of the corpus that have most words in common with a high text or are most like it by embedding, with that text."""
        rng, ngrams, tried = np.random.default_rng(self.seed), read.texts, {}
        sampled = ngrams[rng.permutation(len(ngrams))[:SAMPLED]]
        states = self._directions([tuple(row) for row in sampled.tolist()])
        compared = Pool.unlike(high, COMPARED)
        for text in compared:
            common = np.isin(ngrams, text).sum(1)
            rows = np.nonzero((common >= ALIKE * len(text)) & (common > 0))[0]
            rows = rows[(-common[rows]).argsort(kind="stable")[: TRIED // COMPARED]]
            alike = states @ self._directions([text])[0]
            near = sampled[(-alike).argsort(kind="stable")[: TRIED // COMPARED]]
            for other in [*ngrams[rows].tolist(), *near.tolist()]:
                tried.setdefault(tuple(other), text)
        others = list(tried)
        if not others:
            return []
        values = self.exact.score(others)
        silent = [other for other, value in zip(others, values, strict=True) if value < self.scale.level(SILENT, self.top)]
        if not silent:
            return []
        vectors = dict(zip(compared, self._directions(compared), strict=True))
        like = [float(state @ vectors[tried[other]]) for other, state in zip(silent, self._directions(silent), strict=True)]
        ordered = [silent[row] for row in np.argsort(-np.array(like), kind="stable")]
        return [(tried[other], other) for other in Pool.unlike(ordered, PER_KIND)]

    def _directions(self, texts: Sequence[Ids]) -> Float[np.ndarray, "n d"]:
        """Mean embeddings of texts, of length 1."""
        found = self.exact.embedded(texts)
        return found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-9)

    def _surprises(self, built: Sequence[Built], high: Sequence[Ids], searched: set[Ids]) -> list[Ids]:
        """High corpus places that contain none of the patterns."""
        patterns = [one.pattern for one in built]
        outside = [text for text in high if text not in searched and not any(pattern.find(self.exact.tokens(text)) for pattern in patterns)]
        return Pool.unlike(outside, PER_KIND)
