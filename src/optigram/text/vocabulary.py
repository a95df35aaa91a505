"""The vocabulary of a model: ids to text and back."""

import functools
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from optigram.errors import InputError
from optigram.text.columns import TextColumn

PAD, END, UNKNOWN = "<pad>", "<end>", "<unk>"
UNKNOWNS = (UNKNOWN, "[UNK]")
WORD = re.compile(r"[^\W_]+")


@dataclass(frozen=True)
class Vocabulary:
    """The tokens of a model: `tokens[id]` is the text of an id; `special` ids have no text of their own.

    `encode` turns a text into ids and adds nothing; `decode` is the inverse. `prefix` and `suffix` are the ids that the model expects
    around every text, such as [CLS] and [SEP]. `chat` puts a user's message into the chat template of the model, if it has one. `spans`
    gives the first character of each token of `encode`, and the one after the last.

    All functions can be pickled, so that other processes can encode texts.
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
        """Whether the decoded text is tokenized into the same ids again.

        The ids are those of the whole text, with the template: tokens may merge where a slot meets the words around it. The prefix and
        suffix of the model are ignored, since nobody types them.
        """
        typed = list(ids)
        if self.prefix and tuple(typed[: len(self.prefix)]) == self.prefix:
            typed = typed[len(self.prefix) :]
        if self.suffix and tuple(typed[-len(self.suffix) :]) == self.suffix:
            typed = typed[: -len(self.suffix)]
        return self.encode(self.decode(typed)) == typed

    def known_ids(self, text: str) -> tuple[int, ...]:
        """The ids of a text without unknown words. Raises InputError for the first unknown word, and for half of a surrogate pair."""
        try:
            text = TextColumn.checked(text)
        except ValueError as error:
            raise InputError(f"{error} of {text!r:.200}; write the whole character") from error
        ids, unknown = self.encode(text), self._unknown
        if unknown.intersection(ids):
            word = next((word for word in text.split() if unknown.intersection(self.encode(word))), text)
            raise InputError(f"the model does not know the word {word!r}; leave it out or spell it another way")
        return tuple(ids)

    @functools.cached_property
    def _unknown(self) -> frozenset[int]:
        return frozenset(i for i in self.special if self.tokens[i] in UNKNOWNS)

    @classmethod
    def of_words(cls, words: Sequence[str]) -> "Vocabulary":
        """A vocabulary of whole words, in id order: `<pad>`, `<end>`, `<unk>`, then `words`."""
        tokens = (PAD, END, UNKNOWN, *words)
        ids = {token: i for i, token in enumerate(tokens)}
        unknown = ids[UNKNOWN]
        return cls(
            tokens=tokens,
            special=frozenset(range(3)),
            encode=functools.partial(_encode_words, ids, unknown),
            decode=functools.partial(Vocabulary.joined, tokens),
            spans=_word_spans,
        )

    @staticmethod
    def joined(tokens: Sequence[str], chosen: Iterable[int]) -> str:
        """The tokens with these ids, separated by spaces."""
        return " ".join(tokens[i] for i in chosen)

    @staticmethod
    def words_of(text: str) -> list[str]:
        """Lower-case words of letters and digits; apostrophes are removed ("city's" is "citys"), as in Karpathy's tokens."""
        return WORD.findall(text.lower().replace("'", "").replace("\u2019", ""))


def _encode_words(ids: dict[str, int], unknown: int, text: str) -> list[int]:
    return [ids.get(word, unknown) for word in Vocabulary.words_of(text)]


def _word_spans(text: str) -> list[tuple[int, int]]:
    """The span of each of `words_of(text)`. Lower case may be longer than the text, so places are counted in the text itself."""
    kept = [(letter, place) for place, written in enumerate(text) if written not in "'\u2019" for letter in written.lower()]
    lowered = "".join(letter for letter, _ in kept)
    return [(kept[found.start()][1], kept[found.end() - 1][1] + 1) for found in WORD.finditer(lowered)]
