"""Words as a page shows them: what cannot be seen is named, and pieces that split a character are put together."""

import unicodedata
from collections.abc import Sequence

BROKEN = "\ufffd"
SIGNS = {"\n": "↵", "\r": "↵", "\t": "⇥", "": "∅"}
JOINERS = "\u200c\u200d"  # within a word they belong to its spelling, as in Persian and in emoji of several parts

Valued = tuple[str, float | None]


def visible(word: str) -> str:
    """The word with every character that prints nothing, or turns the direction of what follows, as its code: "⟨U+200F⟩"."""
    if word in SIGNS:
        return SIGNS[word]
    return "".join(_sign(word, i) for i in range(len(word)))


def whole(words: Sequence[str], values: Sequence[float | None], text: str) -> list[Valued]:
    """Words with their values; pieces of one character stand together, as they read in `text`, with the lowest of their values.

    The value is the judge's activation without the word, so the lowest is that of the piece that adds most.
    """
    made: list[Valued] = []
    place, i = 0, 0
    while i < len(words):
        end = i
        while end < len(words) and BROKEN in words[end]:
            end += 1
        if end == i:
            made.append((words[i], values[i]))
            found = text.find(words[i], place)
            place = found + len(words[i]) if found >= 0 else place
            i += 1
            continue
        stop = text.find(words[end], place) if end < len(words) else len(text)
        known = [value for value in values[i:end] if value is not None]
        made.append((text[place:stop] if stop > place else BROKEN, min(known, default=None)))
        place, i = max(stop, place), end
    return made


def _sign(word: str, i: int) -> str:
    sign = word[i]
    if sign in JOINERS and 0 < i < len(word) - 1:
        return sign
    if sign in SIGNS:
        return SIGNS[sign]
    category = unicodedata.category(sign)
    return f"⟨U+{ord(sign):04X}⟩" if category in ("Cc", "Cf", "Co", "Cn", "Cs", "Zl", "Zp") else sign
