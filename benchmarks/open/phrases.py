"""Planted triggers: phrases of 3 to 12 words, each of which switches on one direction of a small transformer, and texts that nearly do."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

SHORTEST, LONGEST = 3, 12
SPECIAL = 2  # ids that are no words: <unk> and <end>
KINDS = ("one word", "two words", "neighbours", "shuffled", "partial", "a word of another phrase")
SHARES = (0.35, 0.15, 0.15, 0.1, 0.15, 0.1)


@dataclass(frozen=True)
class Phrases:
    """Phrases as ids, of words that number `words` beside the special ids."""

    phrases: tuple[tuple[int, ...], ...]
    words: int

    @classmethod
    def draw(cls, count: int, words: int, rng: np.random.Generator) -> "Phrases":
        """Phrases of different words; their lengths are all equally frequent."""
        lengths = [SHORTEST + number % (LONGEST - SHORTEST + 1) for number in range(count)]
        drawn = [tuple((SPECIAL + rng.choice(words, length, replace=False)).tolist()) for length in lengths]
        return cls(tuple(drawn), words)

    def random(self, rng: np.random.Generator, *shape: int) -> np.ndarray:
        """Random words [shape]."""
        return rng.integers(SPECIAL, SPECIAL + self.words, shape)

    def near(self, number: int, rng: np.random.Generator) -> np.ndarray:
        """A text as long as the phrase that is nearly it: words replaced, exchanged, shuffled, or only a part of the phrase."""
        phrase = np.array(self.phrases[number])
        text, size = phrase.copy(), len(phrase)
        while (text == phrase).all():
            match rng.choice(len(KINDS), p=SHARES):
                case 0 | 1 as more:
                    text[rng.choice(size, more + 1, replace=False)] = self.random(rng, more + 1)
                case 2:
                    at = rng.integers(size - 1)
                    text[[at, at + 1]] = text[[at + 1, at]]
                case 3:
                    text = rng.permutation(text)
                case 4:
                    at = rng.integers(1, size)
                    part = slice(None, at) if rng.random() < 0.5 else slice(at, None)
                    text[part] = self.random(rng, len(text[part]))
                case _:
                    text[rng.integers(size)] = rng.choice(self.phrases[rng.integers(len(self.phrases))])
        return text

    def batch(self, size: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Texts [b s], and where each phrase ends in them [b s k]: two in five hold a phrase, two in five a near miss, one neither."""
        texts = self.random(rng, size, LONGEST)
        for row, (kind, late) in enumerate(zip(rng.random(size), rng.random(size), strict=True)):
            number = row % len(self.phrases)
            length = len(self.phrases[number])
            begin = 0 if late < 0.6 else int(rng.integers(LONGEST - length + 1))
            if kind < 0.8:
                texts[row, begin : begin + length] = self.phrases[number] if kind < 0.4 else self.near(number, rng)
        return texts, self.ends(texts)

    def ends(self, texts: np.ndarray) -> np.ndarray:
        """Where each phrase ends [b s k] in texts [b s]."""
        found = np.zeros((*texts.shape, len(self.phrases)), dtype=bool)
        for number, phrase in enumerate(self.phrases):
            windows = np.lib.stride_tricks.sliding_window_view(texts, len(phrase), axis=1)
            row, begin = np.nonzero((windows == np.array(phrase)).all(-1))
            found[row, begin + len(phrase) - 1, number] = True
        return found


def separation(trigger: Sequence[float], near: Sequence[Sequence[float]], random: Sequence[Sequence[float]]) -> dict[str, float]:
    """How well k triggers are told apart on texts that the training has not seen: n near misses and n random texts of each."""
    pairs = list(zip(trigger, near, strict=True))
    return {
        "triggers": len(trigger),
        "lowest_trigger": float(min(trigger)),
        "median_trigger": float(np.median(trigger)),
        "near_misses_below_0.9": float(np.mean([np.mean(np.asarray(row) < 0.9 * top) for top, row in pairs])),
        "units_above_all_near_misses": float(np.mean([top > max(row) for top, row in pairs])),
        "median_near_miss": float(np.median(np.concatenate([np.asarray(row) for row in near]))),
        "median_random": float(np.median(np.concatenate([np.asarray(row) for row in random]))),
    }
