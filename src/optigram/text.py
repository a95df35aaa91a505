"""Ids and text: the vocabulary of a model, the words a search may use, and the template around the free words."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from optigram.errors import InputError

PAD, END, UNKNOWN = "<pad>", "<end>", "<unk>"
SLOT = "{}"


@dataclass(frozen=True)
class Vocabulary:
    """What a model reads: `tokens[id]` is the text of an id; `special` ids carry no text of their own.

    `encode` adds nothing to a text; `prefix` and `suffix` are the ids that the model expects around every text, such as
    [CLS] and [SEP]. `chat` writes a user's message as the text of a chat with the model, where it has a template for that.
    """

    tokens: tuple[str, ...]
    special: frozenset[int]
    encode: Callable[[str], list[int]]
    decode: Callable[[Iterable[int]], str]
    prefix: tuple[int, ...] = ()
    suffix: tuple[int, ...] = ()
    chat: Callable[[str], str] | None = None

    def __len__(self) -> int:
        return len(self.tokens)

    def survives(self, ids: Sequence[int]) -> bool:
        """Whether a reader who types the decoded text gets the same ids back."""
        return self.encode(self.decode(ids)) == list(ids)


def words_of(text: str) -> list[str]:
    """Lower-case words of letters and digits; apostrophes are dropped ("city's" is "citys"), as in Karpathy's tokens."""
    return re.findall(r"[^\W_]+", text.lower().replace("'", "").replace("\u2019", ""))


def word_vocabulary(words: Sequence[str]) -> Vocabulary:
    """A vocabulary of whole words, in id order: `<pad>`, `<end>`, `<unk>`, then `words`."""
    tokens = (PAD, END, UNKNOWN, *words)
    ids = {token: i for i, token in enumerate(tokens)}
    unknown = ids[UNKNOWN]
    return Vocabulary(
        tokens=tokens,
        special=frozenset(range(3)),
        encode=lambda text: [ids.get(word, unknown) for word in words_of(text)],
        decode=lambda chosen: " ".join(tokens[i] for i in chosen),
    )


def lexicon(vocabulary: Vocabulary, with_special: bool = False) -> np.ndarray:
    """The ids a search may propose, ascending: int64 [v]. Special ids are left out unless asked for."""
    special = frozenset() if with_special else vocabulary.special
    return np.array([i for i in range(len(vocabulary)) if i not in special], dtype=np.int64)


@dataclass(frozen=True)
class Template:
    """Fixed ids before and after the free ones; by default there are none (the paper's setting: no begin symbol)."""

    prefix: tuple[int, ...] = ()
    suffix: tuple[int, ...] = ()

    @classmethod
    def parse(cls, text: str, vocabulary: Vocabulary) -> "Template":
        """Read "a woman under an {}", where {} stands for the free words."""
        if text.count(SLOT) != 1:
            raise InputError(f"expected a template with {SLOT} once, for the free words, got {text!r}")
        before, after = text.split(SLOT)
        return cls(known_ids(before, vocabulary), known_ids(after, vocabulary))

    def fill(self, free: Sequence[int]) -> list[int]:
        """The whole input around one free text."""
        return [*self.prefix, *free, *self.suffix]


def known_ids(text: str, vocabulary: Vocabulary) -> tuple[int, ...]:
    """Encode a text that must not hold unknown words; an InputError names the first one that is."""
    ids = vocabulary.encode(text)
    for word, i in zip(words_of(text), ids, strict=False):
        if vocabulary.tokens[i] == UNKNOWN:
            raise InputError(f"the model does not know the word {word!r}; leave it out or spell it another way")
    return tuple(ids)
