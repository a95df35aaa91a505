"""A text as a record shows it: decoded, with its tokens, and where its free words are."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from optigram.text.template import Template
from optigram.text.vocabulary import Vocabulary


@dataclass(frozen=True)
class ShownText:
    """The columns of a record that depend on the text alone."""

    text: str
    tokens: list[str]
    ids: list[int]
    survives: bool
    whole: str
    free: list[list[int]]

    @classmethod
    def of(cls, template: Template, vocabulary: Vocabulary, free: Sequence[int]) -> "ShownText":
        """The columns of free ids that a template surrounds. A character that several tokens spell belongs to the last of them."""
        whole_ids, marks = template.fill(free), [id_ < 0 for id_ in template.fill([-1] * len(free))]
        start, stop = _without_symbols(whole_ids, vocabulary)
        ids, marks = whole_ids[start:stop], marks[start:stop]
        whole = vocabulary.decode(ids)
        starts = [_agreeing(vocabulary.decode(ids[:place]), whole) for place in range(1, len(ids))]
        edges = list(itertools.accumulate([0, *starts, len(whole)], max))
        places = [_trimmed(whole, *pair) for pair, mark in zip(itertools.pairwise(edges), marks, strict=True) if mark]
        text = whole if all(marks) else vocabulary.decode(free)
        tokens = [vocabulary.tokens[i] for i in whole_ids]
        return cls(text, tokens, whole_ids, vocabulary.encode(whole) == ids, whole, places)


def _agreeing(one: str, other: str) -> int:
    """The number of characters at which two texts begin alike."""
    return next((place for place, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def _without_symbols(ids: Sequence[int], vocabulary: Vocabulary) -> tuple[int, int]:
    """Where the ids that a reader would type begin and end."""
    prefix, suffix = vocabulary.prefix, vocabulary.suffix
    start = len(prefix) if tuple(ids[: len(prefix)]) == prefix else 0
    ended = suffix and tuple(ids[-len(suffix) :]) == suffix
    return start, len(ids) - len(suffix) if ended else len(ids)


def _trimmed(text: str, start: int, end: int) -> list[int]:
    """[start, end) without the blanks around a word; blanks alone stay."""
    word = text[start:end]
    if not word.strip(" "):
        return [start, end]
    return [end - len(word.lstrip(" ")), start + len(word.rstrip(" "))]
