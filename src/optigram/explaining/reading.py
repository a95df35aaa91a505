"""What a description says beyond its words: alternatives, one thing before another, and what must not be there.

Embeddings of sentences read neither order nor negation. A description that has such words is therefore taken apart, and its parts are
compared with the words of a text one by one.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from optigram.explaining.texts import Words

NEVER = re.compile(r"\b(?:but not|unless|except|without|not)\b")
EARLIER = re.compile(r"\b(?:precedes?|preceded|before|earlier|comes first)\b")
ORDER = re.compile(r"\b(?:(directly|immediately|right)\s+)?(?:anywhere\s+|somewhere\s+)?(before|after|then|followed by)\b")
OTHER = re.compile(r";|\balternatively\b")
EITHER = re.compile(r",|\bor\b|\beither\b")
BESIDE = re.compile(r", (?:with|first in|at the end of) .*")  # what the template says beside a pattern
QUOTED = re.compile("“([^”]*)”")
LONGEST = 3  # words of a part; longer ones are sentences, and not rules
AROUND = frozenset(["precedes", "preceded", "precede", "follows", "followed", "follow", "directly", "anywhere", "somewhere"])
Nearness = Callable[[str], np.ndarray]  # of a part of the description to each word of a text [n]


@dataclass(frozen=True)
class _Part:
    """Words of which one must be there; `adjacent`: right behind the part before."""

    words: tuple[str, ...]
    adjacent: bool = False


@dataclass(frozen=True)
class Reading:
    """Any of `kinds`, each of parts in their order, and none of the words `never`; `earlier`: none of them before it."""

    kinds: tuple[tuple[_Part, ...], ...]
    never: tuple[str, ...]
    earlier: bool = False

    @classmethod
    def of(cls, description: str) -> "Reading | None":
        """The reading of a description; None for one that says nothing of order, alternatives or negation."""
        quoted = QUOTED.findall(description)
        numbers = map(str, range(len(quoted)))
        wanted, *denied = NEVER.split(QUOTED.sub(lambda match: f"“{next(numbers)}”", description.lower()))
        kinds = tuple(kind for text in OTHER.split(wanted) if (kind := _kind(text, quoted)))
        around = (" ".join(word for word in one.split() if word not in AROUND) for text in denied for one in _words(text, quoted))
        never = tuple(filter(None, around))
        simple = all(len(word.split()) <= LONGEST for kind in kinds for part in kind for word in part.words)
        said = bool(never) or len(kinds) > 1 or any(len(kind) > 1 for kind in kinds)
        return cls(kinds, never, any(map(EARLIER.search, denied))) if kinds and said and simple else None

    @property
    def words(self) -> list[str]:
        """All that is compared with words of texts."""
        return list(dict.fromkeys([*(word for kind in self.kinds for part in kind for word in part.words), *self.never]))

    def fits(self, near: Nearness, count: int, opposite: float) -> float:
        """How well a text of `count` words fits: of the best kind the part that is least there, or what must not be there, taken from
        `opposite`."""
        if not count:
            return -np.inf
        denied = np.max([near(word) for word in self.never], axis=0) if self.never else np.full(count, -np.inf)
        denied = np.concatenate([[-np.inf], np.maximum.accumulate(denied)[:-1]]) if self.earlier else np.full(count, denied.max())
        return max(self._kind_fits(kind, near, opposite - denied) for kind in self.kinds)

    @staticmethod
    def _kind_fits(kind: tuple[_Part, ...], near: Nearness, allowed: np.ndarray) -> float:
        first, *rest = (np.max([near(word) for word in part.words], axis=0) for part in kind)
        reached = np.minimum(first, allowed)
        for part, found in zip(kind[1:], rest, strict=True):
            before = np.concatenate([[-np.inf], reached[:-1]])
            reached = np.minimum(found, before if part.adjacent else np.maximum.accumulate(before))
        return float(reached.max())


def _kind(text: str, quoted: Sequence[str]) -> tuple[_Part, ...]:
    """The parts of an alternative in the order in which they must stand."""
    pieces = ORDER.split(BESIDE.sub("", text))
    parts = [_Part(_words(pieces[0], quoted))]
    for near, relation, after in zip(pieces[1::3], pieces[2::3], pieces[3::3], strict=True):
        words = _words(after, quoted)
        if relation == "after":
            parts = [_Part(words), *(_Part(part.words, bool(near) if number == 0 else part.adjacent) for number, part in enumerate(parts))]
        else:
            parts.append(_Part(words, bool(near)))
    return tuple(part for part in parts if part.words)


def _words(text: str, quoted: Sequence[str]) -> tuple[str, ...]:
    """The alternatives in a piece of text: what is `quoted` by number, or else what stands between commas and "or"."""
    numbers = QUOTED.findall(text)
    if numbers:
        return tuple(dict.fromkeys(quoted[int(number)].lower() for number in numbers))
    return tuple(dict.fromkeys(" ".join(found) for piece in EITHER.split(text) if (found := Words.content(piece))))
