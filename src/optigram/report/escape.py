"""Words as a page shows them: characters that print nothing are named, and tokens that split a character are joined."""

import unicodedata
from collections.abc import Sequence
from typing import NamedTuple

from optigram.runs.records import Record
from optigram.study.evidence import Heat

BROKEN = "\ufffd"
SIGNS = {"\n": "↵", "\r": "↵", "\t": "⇥", "": "∅"}
JOINERS = "\u200c\u200d"  # within a word they belong to its spelling, as in Persian and in emoji of several parts


class Word(NamedTuple):
    """A word of a text, the activation of the text without it (None: not known), and whether the search was free to choose it."""

    text: str
    without: float | None
    free: bool = True

    @classmethod
    def joined(cls, words: Sequence[str], without: Sequence[float | None], text: str) -> "list[Word]":
        """Words with the activation of their text without them; tokens that split a character are one word, as it reads in `text`.

        Such a word has the lowest of its tokens' activations, which is that of the token that adds most.
        """
        made: list[Word] = []
        place, i = 0, 0
        while i < len(words):
            end = i
            while end < len(words) and BROKEN in words[end]:
                end += 1
            if end == i:
                made.append(cls(words[i], without[i]))
                found = text.find(words[i], place)
                place = found + len(words[i]) if found >= 0 else place
                i += 1
                continue
            stop = text.find(words[end], place) if end < len(words) else len(text)
            known = [value for value in without[i:end] if value is not None]
            made.append(cls(text[place:stop] if stop > place else BROKEN, min(known, default=None)))
            place, i = max(stop, place), end
        return made

    @classmethod
    def of_record(cls, record: Record, heat: Heat) -> "list[Word]":
        """The free words of a record with their evidence, and the fixed text around them where a template has some."""
        pieces = record.pieces()
        if all(free for _, free in pieces) or len(record.free) != len(heat.words):
            return Word.joined(heat.words, heat.without, record.text)
        runs, found = iter(record.runs()), []
        for piece, free in pieces:
            first, last = next(runs) if free else (0, 0)
            found += Word.joined(heat.words[first:last], heat.without[first:last], piece) if free else [cls(piece, None, False)]
        return found

    @staticmethod
    def visible(word: str) -> str:
        """The word with every character that prints nothing, or turns the direction of what follows, as its code: "⟨U+200F⟩"."""
        if word.isprintable():
            return word or SIGNS[word]
        return "".join(_sign(word, i) for i in range(len(word)))


def _sign(word: str, i: int) -> str:
    sign = word[i]
    if sign in JOINERS and 0 < i < len(word) - 1:
        return sign
    if sign in SIGNS:
        return SIGNS[sign]
    category = unicodedata.category(sign)
    return f"⟨U+{ord(sign):04X}⟩" if category in ("Cc", "Cf", "Co", "Cn", "Cs", "Zl", "Zp") else sign
