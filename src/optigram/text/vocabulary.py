"""Ids and text: the vocabulary of a model, and the template around the free words."""

import functools
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from optigram.errors import InputError

PAD, END, UNKNOWN = "<pad>", "<end>", "<unk>"
UNKNOWNS = (UNKNOWN, "[UNK]")
WORD = re.compile(r"[^\W_]+")


@dataclass(frozen=True)
class Vocabulary:
    """What a model reads: `tokens[id]` is the text of an id; `special` ids carry no text of their own.

    `encode` adds nothing to a text; `prefix` and `suffix` are the ids that the model expects around every text, such as
    [CLS] and [SEP]. `chat` writes a user's message as the text of a chat with the model, where it has a template for that.
    `spans` tells where in the text each token of `encode` stands: the first character, and the one after the last.

    All functions are pickled with it, so that texts can be encoded in other processes.
    """

    tokens: tuple[str, ...]
    special: frozenset[int]
    encode: Callable[[str], list[int]]
    decode: Callable[[Iterable[int]], str]
    prefix: tuple[int, ...] = ()
    suffix: tuple[int, ...] = ()
    chat: Callable[[str], str] | None = None
    spans: Callable[[str], list[tuple[int, int]]] | None = None

    def __len__(self) -> int:
        return len(self.tokens)

    def survives(self, ids: Sequence[int]) -> bool:
        """Whether a reader who types the decoded text gets the same ids back.

        It is the whole text that counts, template and all: tokens may melt together where a slot meets its surroundings.
        What the model expects around every text is left aside, for no reader types it.
        """
        typed = list(ids)
        if self.prefix and tuple(typed[: len(self.prefix)]) == self.prefix:
            typed = typed[len(self.prefix) :]
        if self.suffix and tuple(typed[-len(self.suffix) :]) == self.suffix:
            typed = typed[: -len(self.suffix)]
        return self.encode(self.decode(typed)) == typed


def words_of(text: str) -> list[str]:
    """Lower-case words of letters and digits; apostrophes are dropped ("city's" is "citys"), as in Karpathy's tokens."""
    return WORD.findall(text.lower().replace("'", "").replace("\u2019", ""))


def word_vocabulary(words: Sequence[str]) -> Vocabulary:
    """A vocabulary of whole words, in id order: `<pad>`, `<end>`, `<unk>`, then `words`."""
    tokens = (PAD, END, UNKNOWN, *words)
    ids = {token: i for i, token in enumerate(tokens)}
    unknown = ids[UNKNOWN]
    return Vocabulary(
        tokens=tokens,
        special=frozenset(range(3)),
        encode=functools.partial(_encode_words, ids, unknown),
        decode=functools.partial(joined, tokens),
        spans=_word_spans,
    )


def _encode_words(ids: dict[str, int], unknown: int, text: str) -> list[int]:
    return [ids.get(word, unknown) for word in words_of(text)]


def joined(tokens: Sequence[str], chosen: Iterable[int]) -> str:
    """The tokens with these ids, a blank between them."""
    return " ".join(tokens[i] for i in chosen)


def _word_spans(text: str) -> list[tuple[int, int]]:
    """Where each of `words_of(text)` stands. A letter may have several lower-case ones, so places are counted in the text itself."""
    kept = [(letter, place) for place, written in enumerate(text) if written not in "'\u2019" for letter in written.lower()]
    lowered = "".join(letter for letter, _ in kept)
    return [(kept[found.start()][1], kept[found.end() - 1][1] + 1) for found in WORD.finditer(lowered)]


def known_ids(text: str, vocabulary: Vocabulary) -> tuple[int, ...]:
    """Encode a text that must not hold unknown words; an InputError names the first one that is."""
    unknown = {i for i in vocabulary.special if vocabulary.tokens[i] in UNKNOWNS}
    ids = vocabulary.encode(text)
    if unknown.intersection(ids):
        word = next((word for word in text.split() if unknown.intersection(vocabulary.encode(word))), text)
        raise InputError(f"the model does not know the word {word!r}; leave it out or spell it another way")
    return tuple(ids)
