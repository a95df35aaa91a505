"""Cores: the shortest part of a text that keeps 90% of its activation."""

import itertools
from collections.abc import Iterator, Sequence

from optigram.explaining.exact import Exact, Ids, Scale

KEPT = 0.9
EXHAUSTIVE = 8  # words up to which all parts of a text are tried


def cores(exact: Exact, texts: Sequence[Ids], scale: Scale, kept: float = KEPT) -> list[Ids]:
    """The core of each text: of the shortest parts that keep 90% of its activation, or another share, the highest one.

    A part has the words of the text in their order. Of texts of more than 8 words, one word after the other is left out instead.
    """
    levels = [scale.level(kept, value) for value in exact.score(texts)]
    found: dict[int, Ids] = {row: _greedy(exact, text, levels[row]) for row, text in enumerate(texts) if len(text) > EXHAUSTIVE}
    for size in range(1, EXHAUSTIVE + 1):
        open_ = [row for row in range(len(texts)) if row not in found]
        parts = {row: list(dict.fromkeys(itertools.combinations(texts[row], size))) for row in open_}
        values = iter(exact.score([part for row in open_ for part in parts[row]]))
        for row in open_:
            best, part = max(zip(itertools.islice(values, len(parts[row])), parts[row], strict=True))
            if best >= levels[row]:
                found[row] = part
    return [found.get(row, text) for row, text in enumerate(texts)]


def _greedy(exact: Exact, text: Ids, level: float) -> Ids:
    while len(text) > 1:
        parts = list(_without_one(text))
        best, part = max(zip(exact.score(parts), parts, strict=True))
        if best < level:
            break
        text = part
    return text


def _without_one(text: Ids) -> Iterator[Ids]:
    """The text without each of its words."""
    return (text[:place] + text[place + 1 :] for place in range(len(text)))
