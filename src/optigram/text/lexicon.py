"""The lexicon: the words that a search may propose. Methods see the embeddings of these words alone, so they can find no other."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from optigram.errors import InputError, nearest
from optigram.text.vocabulary import Vocabulary


@dataclass(frozen=True)
class Rules:
    """Rules for the words of a lexicon.

    `without`: words that are not allowed, in any case, with or without a space before them (a text that names the target is no
    discovery). `matching`: a regular expression to find in the token. `words`: "whole" leaves out pieces of words, numbers and
    punctuation. `special`: allow special ids, and tokens that print nothing.
    """

    special: bool = False
    without: tuple[str, ...] = ()
    matching: str | None = None
    words: Literal["any", "whole"] = "any"


def lexicon(vocabulary: Vocabulary, rules: Rules | None = None, seen_in: Iterable[str] | None = None) -> np.ndarray:
    """The ids that a search may propose, ascending: int64 [v]; with `seen_in` only those that occur in these texts.

    Special, unused and undecodable ids, and tokens that print nothing, are left out. Raises InputError if no word is left.
    """
    rules = rules or Rules()
    found = [i for i, token in enumerate(vocabulary.tokens) if rules.special or (i not in vocabulary.special and _printing(token))]
    if rules.without:
        denied = _denied(rules.without, vocabulary)
        found = [i for i in found if _plain(vocabulary.tokens[i]) not in denied]
    if rules.matching is not None:
        pattern = _pattern(rules.matching)
        found = [i for i in found if pattern.search(vocabulary.tokens[i])]
    if rules.words == "whole":
        mark = _word_mark(vocabulary.tokens)
        found = [i for i in found if _whole(vocabulary.tokens[i], mark)]
    if seen_in is not None:
        seen = {i for text in seen_in for i in vocabulary.encode(text)}
        found = [i for i in found if i in seen]
    if not found:
        raise InputError("no word is left that may be proposed; loosen --without, --matching, --words or --seen-in")
    return np.array(found, dtype=np.int64)


def _printing(token: str) -> bool:
    """Whether the token is visible: no line breaks, tabs, control characters, parts of characters, or spaces alone."""
    return token.isprintable() and not token.isspace() and "\ufffd" not in token and token != ""


def _word_mark(tokens: Iterable[str]) -> Literal["start", "end"] | None:
    """Where tokens have the blank by which a word is told from a piece: before it, as GPT-2's, or behind it, as CLIP's."""
    words = [token for token in tokens if token.strip().isalpha()]
    if any(token.startswith(" ") for token in words):
        return "start"
    return "end" if any(token.endswith(" ") for token in words) else None


def _whole(token: str, mark: Literal["start", "end"] | None) -> bool:
    """Whether a token is a whole word."""
    if mark is None:
        return token.isalpha()
    return token.strip().isalpha() and (token.startswith(" ") if mark == "start" else token.endswith(" "))


def _plain(token: str) -> str:
    """A token in lower case, without the space before it or the ## of a continuation."""
    return token.strip().removeprefix("##").casefold()


def _denied(words: Iterable[str], vocabulary: Vocabulary) -> set[str]:
    known = {_plain(token) for token in vocabulary.tokens}
    denied = {_plain(word) for word in words}
    for word in sorted(denied - known):
        raise InputError(f"no token reads {word!r}{nearest(word, known)}; leave it out of --without, or exclude pieces with --matching")
    return denied


def _pattern(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error as error:
        raise InputError(f"{text!r} is no regular expression ({error}); see the documentation of Python's re") from error
