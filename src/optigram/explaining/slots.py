"""From a core to its pattern: the words of each slot, where other words may stand, and which words lower the activation."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from optigram.explaining.clusters import UNLIKE, Kinds
from optigram.explaining.cores import KEPT
from optigram.explaining.exact import Exact, Ids, Scale
from optigram.explaining.pattern import MOST_GAP, Example, Pattern, Slot

CLASS, FIRES = 0.75, 0.5  # shares of the core's activation: of a word of a slot, and of a text that fires
LISTED = 48  # words that a slot holds at most
DRAWN, FILLED = 32, 12  # texts drawn from a pattern; texts with other words at a place
KEEPS = 0.75  # share of texts with other words at a place that must fire, if there is to be a gap
LOWERING, NOTED = 96, 12  # words judged that the gradient ranks lowest; words that lower, at most


@dataclass(frozen=True)
class Patterns:
    """Makes patterns. `fillers` (ids) are words of the corpus, or of the lexicon, that stand for any word.

    `listed` words are judged in a slot, where not all are.
    """

    exact: Exact
    scale: Scale
    kinds: Kinds
    fillers: Sequence[int]
    seed: int
    listed: int

    def of(
        self, core: Ids, source: str, height: float, near: Sequence[Ids], others: Sequence[Sequence[Ids]], kept: float = KEPT
    ) -> "Built":
        """The pattern around a core; words of `near` texts, which are cores of the same concept, are tried in its slots too.

        A word that makes the core one of `others`, the cores of other concepts, is left out. A drawn text fires at half of `height`.
        """
        exact = self.exact
        own = float(exact.score([core])[0])
        groups = [[core, *near], *others]
        words = [self._of_kind(core, place, self._words(core, place, own, near), groups, own) for place in range(len(core))]
        open_ = [self._is_open(core, place, own) for place in range(len(core) + 1)]
        without = self._lowering(core, open_, own)
        drawn = self._drawn(words, open_, {word for word, _ in without})
        pattern = Pattern(
            core=Example(exact.text(core), own, source),
            slots=[Slot(self._named(found), gap and place > 0) for place, (found, gap) in enumerate(zip(words, open_, strict=False))],
            firing=float((exact.score(drawn) >= self.scale.level(FIRES, height)).mean()),
            drawn=len(drawn),
            recall=None,
            begins=not open_[0],
            ends=not open_[-1],
            without=self._named(without),
            kept=kept,
        )
        return Built(core, open_, without, pattern)

    def _named(self, words: Sequence[tuple[int, float]]) -> tuple[tuple[str, float], ...]:
        return tuple((self.exact.vocabulary.tokens[word], value) for word, value in words)

    def alike(self, core: Ids, place: int) -> set[int]:
        """The words at a place of a core that keep 75% of its activation, and of which the model makes the same."""
        words = [word for word, _ in self._words(core, place, float(self.exact.score([core])[0]), ())]
        like = self.kinds.likeness([core, *(_replaced(core, place, word) for word in words)])[0, 1:]
        return {core[place]} | {word for word, value in zip(words, like, strict=True) if value > UNLIKE}

    def _of_kind(
        self, core: Ids, place: int, words: Sequence[tuple[int, float]], groups: Sequence[Sequence[Ids]], own: float
    ) -> list[tuple[int, float]]:
        """The words that leave a core in the first of the groups; its own word alone where none does."""
        if len(groups) == 1:
            return list(words)
        group = self.kinds.nearest([_replaced(core, place, word) for word, _ in words], groups)
        return [pair for pair, number in zip(words, group, strict=True) if number == 0 or pair[0] == core[place]] or [(core[place], own)]

    def _words(self, core: Ids, place: int, own: float, near: Sequence[Ids]) -> list[tuple[int, float]]:
        """The words at a place that keep 75%, best first."""
        tried = dict.fromkeys([core[place], *(word for text in near for word in text), *self.exact.ranked(core, place, self.listed)])
        values = self.exact.score([_replaced(core, place, word) for word in tried])
        kept = [(word, float(value)) for word, value in zip(tried, values, strict=True) if value >= self.scale.level(CLASS, own)]
        return sorted(kept, key=lambda pair: -pair[1])[:LISTED] or [(core[place], own)]

    def _is_open(self, core: Ids, place: int, own: float) -> bool:
        """Whether the core keeps firing with other words before a place, or after the last one."""
        rng = np.random.default_rng([self.seed, place])
        texts = [(*core[:place], *self._filling(rng, 1 + number % MOST_GAP), *core[place:]) for number in range(FILLED)]
        return float((self.exact.score(texts) >= self.scale.level(FIRES, own)).mean()) >= KEEPS

    def _lowering(self, core: Ids, open_: Sequence[bool], own: float) -> list[tuple[int, float]]:
        """Words that lower the activation below half where they are added at an open place, alone and among others, the lowest first."""
        if not any(open_):
            return []
        place = max(place for place, one in enumerate(open_) if one)
        held = (*core[:place], int(self.fillers[0]), *core[place:])
        tried = [word for word in self.exact.ranked(held, place, LOWERING, lowest=True) if word not in core]
        values = self.exact.score([_replaced(held, place, word) for word in tried])
        low = [(word, float(value)) for word, value in zip(tried, values, strict=True) if value < self.scale.level(FIRES, own)]
        low, rng, half = sorted(low, key=lambda pair: pair[1])[: 2 * NOTED], np.random.default_rng(self.seed), self.scale.level(FIRES, own)
        around = [(self._filling(rng, before), self._filling(rng, 2 - before)) for before in range(3)]
        texts = [(*core[:place], *before, word, *after, *core[place:]) for word, _ in low for before, after in around]
        values = self.exact.score(texts).reshape(-1, len(around))
        return [pair for pair, row in zip(low, values, strict=True) if bool((row < half).all())][:NOTED]

    def _drawn(self, slots: Sequence[Sequence[tuple[int, float]]], open_: Sequence[bool], denied: set[int]) -> list[Ids]:
        """Different texts of words of the slots, with other words in gaps and around them, up to the length of the search's texts."""
        rng, found = np.random.default_rng(self.seed), dict[Ids, None]()
        fillers = [word for word in self.fillers if word not in denied]
        places = [place for place, one in enumerate(open_) if one] if fillers else []
        spare = max(self.exact.objective.length - len(slots), 0) if places else 0
        for _ in range(2 * DRAWN):
            at, text = rng.choice(places, spare).tolist() if spare else [], list[int]()
            for place in range(len(slots) + 1):
                text += rng.choice(fillers, min(at.count(place), MOST_GAP)).tolist()
                text += [slots[place][int(rng.integers(len(slots[place])))][0]] if place < len(slots) else []
            found[tuple(text)] = None
        return list(found)[:DRAWN]

    def _filling(self, rng: np.random.Generator, count: int) -> list[int]:
        return rng.choice(np.asarray(self.fillers), count).tolist()


@dataclass(frozen=True)
class Built:
    """A pattern and its ids: the core, whether other words may stand before each of its words and after the last, words that lower it."""

    core: Ids
    open: Sequence[bool]
    without: Sequence[tuple[int, float]]
    pattern: Pattern


def _replaced(text: Ids, place: int, word: int) -> Ids:
    return (*text[:place], word, *text[place + 1 :])
