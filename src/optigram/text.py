"""Ids and text: the vocabulary of a model, and the template around the free words."""

import functools
import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from optigram.errors import InputError

PAD, END, UNKNOWN = "<pad>", "<end>", "<unk>"
UNKNOWNS = (UNKNOWN, "[UNK]")
WORD = re.compile(r"[^\W_]+")
SLOT = re.compile(r"\{(\d*)\}")


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
        spans=word_spans,
    )


def _encode_words(ids: dict[str, int], unknown: int, text: str) -> list[int]:
    return [ids.get(word, unknown) for word in words_of(text)]


def joined(tokens: Sequence[str], chosen: Iterable[int]) -> str:
    """The tokens with these ids, a blank between them."""
    return " ".join(tokens[i] for i in chosen)


def word_spans(text: str) -> list[tuple[int, int]]:
    """Where each of `words_of(text)` stands. A letter may have several lower-case ones, so places are counted in the text itself."""
    kept = [(letter, place) for place, written in enumerate(text) if written not in "'\u2019" for letter in written.lower()]
    lowered = "".join(letter for letter, _ in kept)
    return [(kept[found.start()][1], kept[found.end() - 1][1] + 1) for found in WORD.finditer(lowered)]


@dataclass(frozen=True)
class Template:
    """Fixed ids around the free ones: `prefix`, then free words, then `suffix`; and between free words, if there are several slots.

    `between` holds (how many free words come before, the fixed ids that follow them), in order. `length` is the number
    of free words that the slots ask for, or None where they leave it open. `Template()` adds nothing, which for a
    model without begin symbol is the paper's setting.
    """

    prefix: tuple[int, ...] = ()
    suffix: tuple[int, ...] = ()
    between: tuple[tuple[int, tuple[int, ...]], ...] = ()
    length: int | None = None

    @classmethod
    def bare(cls, vocabulary: Vocabulary) -> "Template":
        """Nothing but what the model expects around every text, such as a begin symbol."""
        return cls(vocabulary.prefix, vocabulary.suffix)

    @classmethod
    def parse(cls, text: str, vocabulary: Vocabulary, chat: bool = False) -> "Template":
        """Read "a woman under an {}", where {} stands for all free words, or "{3} and {2}", which says how many stand where.

        What the model expects around every text is added, once: not where the text or the chat template wrote it already.
        With `chat` the text is what a user says to the model. The blank before a slot belongs to the first free word.
        """
        if chat:
            if vocabulary.chat is None:
                raise InputError("this model has no chat template; leave --chat out")
            text = vocabulary.chat(text)
        fixed, counts = SLOT.split(text)[::2], [int(count) if count else None for count in SLOT.findall(text)]
        if not counts or 0 in counts or (None in counts and len(counts) > 1):
            raise InputError(f"expected a template with {{}} once, for the free words, or slots such as {{3}} and {{2}}, got {text!r}")
        pieces = [known_ids(piece.rstrip(" ") if i < len(counts) else piece, vocabulary) for i, piece in enumerate(fixed)]
        before, after = pieces[0], pieces[-1]
        if before[: len(vocabulary.prefix)] != vocabulary.prefix:
            before = vocabulary.prefix + before
        if not vocabulary.suffix or after[-len(vocabulary.suffix) :] != vocabulary.suffix:
            after = after + vocabulary.suffix
        if counts == [None]:
            return cls(before, after)
        numbers = [count for count in counts if count is not None]
        ends = itertools.accumulate(numbers)
        return cls(before, after, tuple(zip(ends, pieces[1:-1], strict=False)), sum(numbers))

    def pieces(self, length: int) -> Iterator[tuple[int, ...] | range]:
        """The whole input around `length` free words, in order: fixed ids, and the ranges of free words between them."""
        yield self.prefix
        begin = 0
        for end, fixed in self.between:
            yield range(begin, end)
            yield fixed
            begin = end
        yield range(begin, length)
        yield self.suffix

    def ends(self, length: int) -> list[int]:
        """Where the fixed beginning of a whole input ends, if there is one, and each free word with the fixed ids after it."""
        free = [isinstance(piece, range) for piece in self.pieces(length) for _ in piece]
        return [place for place in range(1, len(free) + 1) if place == len(free) or free[place]]

    def fill(self, free: Sequence[int]) -> list[int]:
        """The whole input around one free text."""
        return [free[part] if isinstance(piece, range) else part for piece in self.pieces(len(free)) for part in piece]


def known_ids(text: str, vocabulary: Vocabulary) -> tuple[int, ...]:
    """Encode a text that must not hold unknown words; an InputError names the first one that is."""
    unknown = {i for i in vocabulary.special if vocabulary.tokens[i] in UNKNOWNS}
    ids = vocabulary.encode(text)
    if unknown.intersection(ids):
        word = next((word for word in text.split() if unknown.intersection(vocabulary.encode(word))), text)
        raise InputError(f"the model does not know the word {word!r}; leave it out or spell it another way")
    return tuple(ids)
