"""Templates: the fixed text around the free words."""

import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from optigram.errors import InputError
from optigram.text.vocabulary import Vocabulary

SLOT = re.compile(r"\{(\d*)\}")


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

        The ids that the model expects around every text are added once, unless the text or the chat template has them already. With
        `chat` the text is a user's message. The space before a slot belongs to the first free word. Raises InputError.
        """
        if chat:
            if vocabulary.chat is None:
                raise InputError("this model has no chat template; leave --chat out")
            text = vocabulary.chat(text)
        fixed, counts = SLOT.split(text)[::2], [int(count) if count else None for count in SLOT.findall(text)]
        if not counts or 0 in counts or (None in counts and len(counts) > 1):
            raise InputError(f"expected a template with {{}} once, for the free words, or slots such as {{3}} and {{2}}, got {text!r}")
        pieces = [vocabulary.known_ids(piece.rstrip(" ") if i < len(counts) else piece) for i, piece in enumerate(fixed)]
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


def counted_places(template: Template, length: int, vocabulary: Vocabulary) -> list[bool]:
    """Which positions of the whole input count: from the first free word on, without special ids and without position 0.

    In a causal model nothing before the free words depends on them. Position 0 of a transformer is an attention sink, whose
    activations are huge for any text.
    """
    whole = layout(template.pieces(length))
    first = max(whole.index(None), 1)
    return [place >= first and id_ not in vocabulary.special for place, id_ in enumerate(whole)]


def layout(pieces: Iterable[range | Sequence[int]]) -> list[int | None]:
    """The ids of a whole input, None for the free words."""
    return [id_ for piece in pieces for id_ in ([None] * len(piece) if isinstance(piece, range) else piece)]
