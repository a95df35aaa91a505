"""Templates: the fixed text around the free words."""

import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from optigram.errors import InputError
from optigram.text.vocabulary import UNKNOWNS, Vocabulary

SLOT = re.compile(r"\{(\d*)\}")
SLOT_MARK = "\ue000"  # stands for a slot in a chat template; a character that no text has
WORDS, TRIED = 32, 4096  # words that are put into a slot, found among the first words of the vocabulary
SENTINELS = ("\n", ",", "1", "")


@dataclass(frozen=True)
class Template:
    """Fixed ids around free words: `prefix`, free words, `suffix`, and fixed ids between free words if there are several slots.

    `between` holds pairs (number of free words before, fixed ids after them), in order. `length` is the number of free words in the
    slots, or None for a slot of any length. `Template()` adds nothing, which is the setting of the paper for a model without begin
    symbol.
    """

    prefix: tuple[int, ...] = ()
    suffix: tuple[int, ...] = ()
    between: tuple[tuple[int, tuple[int, ...]], ...] = ()
    length: int | None = None

    @classmethod
    def bare(cls, vocabulary: Vocabulary) -> "Template":
        """The template with only the ids that the model expects around every text, such as a begin symbol."""
        return cls(vocabulary.prefix, vocabulary.suffix)

    @classmethod
    def parse(cls, text: str, vocabulary: Vocabulary, chat: bool = False) -> "Template":
        """Parse "a woman under an {}", where {} is the place of all free words, or "{3} and {2}", with a number of free words per slot.

        Filled ids are those of the typed text: each fixed piece is encoded behind a word in the slot, so that no tokenizer adds a
        blank to it. The ids that the model expects around every text are added once, unless the text or the chat template has them
        already. With `chat` the text is a user's message. One blank before a slot belongs to the first free word. Raises InputError.
        """
        if any("\ud800" <= letter <= "\udfff" for letter in text):
            raise InputError(f"the template {text!r} holds half a character; write the whole character")
        fixed, counts = SLOT.split(text)[::2], [int(count) if count else None for count in SLOT.findall(text)]
        if not counts or 0 in counts or (None in counts and len(counts) > 1):
            raise InputError(f"expected a template with {{}} once, for the free words, or slots such as {{3}} and {{2}}, got {text!r}")
        pieces = _encoded(_in_chat(fixed, vocabulary) if chat else fixed, vocabulary)
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
        """The whole input with `length` free words, in order: fixed ids, and ranges of free words."""
        yield self.prefix
        begin = 0
        for end, fixed in self.between:
            yield range(begin, end)
            yield fixed
            begin = end
        yield range(begin, length)
        yield self.suffix

    def ends(self, length: int) -> list[int]:
        """The positions after the fixed beginning (if any) and after each free word with the fixed ids that follow it."""
        free = [isinstance(piece, range) for piece in self.pieces(length) for _ in piece]
        return [place for place in range(1, len(free) + 1) if place == len(free) or free[place]]

    def fill(self, free: Sequence[int]) -> list[int]:
        """The ids of the whole input for free words."""
        return [free[part] if isinstance(piece, range) else part for piece in self.pieces(len(free)) for part in piece]


def _in_chat(fixed: Sequence[str], vocabulary: Vocabulary) -> list[str]:
    """The fixed pieces of a user's message, with what the chat template puts around it. Braces of the chat template are text."""
    if vocabulary.chat is None:
        raise InputError("this model has no chat template; leave --chat out")
    found = vocabulary.chat(SLOT_MARK.join(fixed)).split(SLOT_MARK)
    if len(found) != len(fixed):
        raise InputError("the chat template of this model does not hold the message once; leave --chat out and write the turns yourself")
    return found


def _encoded(fixed: Sequence[str], vocabulary: Vocabulary) -> list[tuple[int, ...]]:
    """The ids of each fixed piece in its place. Raises InputError for an unknown word, and where a piece cannot be told from a slot."""
    words = _words(vocabulary)
    pieces = [vocabulary.known_ids(_before_slot(fixed[0]))]
    for end in range(1, len(fixed)):
        piece = fixed[end] if end == len(fixed) - 1 else _before_slot(fixed[end])
        pieces.append(_cut(fixed[:end], piece, words, vocabulary) if piece else ())
    return pieces


def _before_slot(piece: str) -> str:
    """A fixed piece without the blank that belongs to the free word behind it."""
    return piece.removesuffix(" ")


def _cut(before: Sequence[str], piece: str, words: Sequence[str], vocabulary: Vocabulary) -> tuple[int, ...]:
    """The ids of a piece behind a slot: those that follow a word which it leaves as it is."""
    encode, decode = vocabulary.encode, vocabulary.decode
    for word in words:
        text = "".join(part + word for part in before)
        start, whole = encode(text), encode(text + piece)
        if whole[: len(start)] == start:
            return _known(whole[len(start) :], piece, vocabulary)
    text = "".join(part + words[0] for part in before) if words else ""
    start, read = encode(text), decode(encode(text + piece))
    for sentinel in SENTINELS:  # it would merge with any word, as an "s" does: then as it is where it merges with none
        first, whole = encode(sentinel), encode(sentinel + piece)
        if whole[: len(first)] == first and decode([*start, *whole[len(first) :]]) == read:
            return _known(whole[len(first) :], piece, vocabulary)
    vocabulary.known_ids(piece)
    raise InputError(f"{piece!r} joins the word before it, which these tokens cannot say; begin it with a blank, or leave it out")


def _known(ids: Sequence[int], piece: str, vocabulary: Vocabulary) -> tuple[int, ...]:
    if any(vocabulary.tokens[i] in UNKNOWNS for i in vocabulary.special.intersection(ids)):
        vocabulary.known_ids(piece)
        raise InputError(f"the model does not know all of {piece!r}; leave it out or spell it another way")
    return tuple(ids)


def _words(vocabulary: Vocabulary) -> list[str]:
    """Some words of the vocabulary, each a single token where it stands alone; single letters if there are no others."""
    plain = [token.strip() for id_, token in enumerate(vocabulary.tokens) if id_ not in vocabulary.special]
    for shortest in (2, 1):
        tried = itertools.islice((word for word in plain if len(word) >= shortest and word.isalpha()), TRIED)
        if found := list(itertools.islice((word for word in tried if len(vocabulary.encode(word)) == 1), WORDS)):
            return found
    return []


def counted_places(template: Template, length: int, vocabulary: Vocabulary) -> list[bool]:
    """Which positions of the whole input count: from the first free word on, without special ids and without position 0.

    In a causal model nothing before the free words depends on them. Position 0 of a transformer is an attention sink, whose
    activations are huge for any text.
    """
    whole = _layout(template.pieces(length))
    first = max(whole.index(None), 1)
    return [place >= first and id_ not in vocabulary.special for place, id_ in enumerate(whole)]


def _layout(pieces: Iterable[range | Sequence[int]]) -> list[int | None]:
    """The ids of a whole input, None for the free words."""
    return [id_ for piece in pieces for id_ in ([None] * len(piece) if isinstance(piece, range) else piece)]
