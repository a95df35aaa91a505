"""The n-grams of a corpus: all of them, the unique ones, and where each stands first."""

import bisect
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from optigram.errors import InputError
from optigram.shapes import Bool, Int
from optigram.text.vocabulary import Vocabulary

BLOCK = 1 << 20  # n-grams that are made unique together


@dataclass(frozen=True)
class NGrams:
    """n-grams `ids` [c t] within texts. `text` [c] is the number of the text, `position` [c] that of the first word in it."""

    ids: Int[np.ndarray, "c t"]
    text: Int[np.ndarray, " c"]
    position: Int[np.ndarray, " c"]

    def __len__(self) -> int:
        return len(self.ids)

    @classmethod
    def of(cls, rows: Sequence[Sequence[int]], length: int, allowed: Bool[np.ndarray, " v"], first: int = 0) -> "NGrams":
        """All n-grams of `length` allowed words of encoded texts, in their order; `first` is the number of the first text."""
        lengths = np.array([len(row) for row in rows], np.int64)
        flat = np.concatenate([np.asarray(row, np.int64) for row in rows]) if rows else np.zeros(0, np.int64)
        if len(flat) < length:
            return cls(np.zeros((0, length), np.int64), flat[:0], flat[:0])
        text = np.repeat(np.arange(len(rows)), lengths)
        position = np.arange(len(flat)) - np.repeat(lengths.cumsum() - lengths, lengths)
        begins = np.nonzero(text[: len(flat) - length + 1] == text[length - 1 :])[0]
        ids = np.lib.stride_tricks.sliding_window_view(flat, length)[begins]
        kept = allowed[ids].all(1)
        return cls(ids[kept], text[begins[kept]] + first, position[begins[kept]])

    def unique(self) -> tuple["NGrams", Int[np.ndarray, " n"]]:
        """Each n-gram once, where it stands first, in the order of ids; and the number in it of each of these n-grams."""
        order, new = _sorted(self.ids)
        group = np.empty(len(order), np.int64)
        group[order] = np.cumsum(new) - 1
        first = order[new]
        return NGrams(self.ids[first], self.text[first], self.position[first]), group

    @classmethod
    def read(cls, texts: Iterable[str], vocabulary: Vocabulary, length: int, allowed: Int[np.ndarray, " w"]) -> "NGrams":
        """The unique n-grams of `length` words, all in `allowed`, in the order of their ids.

        No n-gram crosses the end of a text. A text shorter than `length` gives none: the authors pad it (section 4.1), which would only
        add texts that no other method may propose. Raises InputError if there are none.
        """
        mask = np.zeros(len(vocabulary), dtype=bool)
        mask[allowed] = True
        found, waiting, number, count, longest = [], [], 0, 0, 0
        for number, text in enumerate(texts, start=1):
            ids = vocabulary.encode(text)
            waiting.append(ids)
            count, longest = count + len(ids), max(longest, len(ids))
            if count >= BLOCK:
                found.append(cls.of(waiting, length, mask, number - len(waiting)).unique()[0])
                waiting, count = [], 0
        found.append(cls.of(waiting, length, mask, number - len(waiting)).unique()[0])
        if longest < length:
            raise InputError(f"no text of the corpus has {length} words; give longer texts or a smaller --length")
        whole = found[0] if len(found) == 1 else _joined(found).unique()[0]
        if not len(whole):
            raise InputError(f"every {length}-gram of the corpus has a word that the model does not know; is the corpus in its language?")
        return whole

    def in_context(
        self, wanted: Iterable[Sequence[int]], texts: Iterable[str], vocabulary: Vocabulary
    ) -> Mapping[tuple[int, ...], tuple[str, str]]:
        """The text before and after each wanted n-gram, where it stands first in `texts`, whose unique n-grams these are."""
        places: dict[int, list[int]] = {}
        for ids in {tuple(ids) for ids in wanted}:
            row = bisect.bisect_left(range(len(self)), ids, key=lambda row: tuple(self.ids[row].tolist()))
            places.setdefault(int(self.text[row]), []).append(row)
        found = {}
        for number, text in enumerate(texts):
            if len(found) == sum(map(len, places.values())):
                break
            ids = vocabulary.encode(text) if number in places else []
            for row in places.get(number, ()):
                start = int(self.position[row])
                found[tuple(self.ids[row].tolist())] = vocabulary.decode(ids[:start]), vocabulary.decode(ids[start + self.ids.shape[1] :])
        return found


def _joined(parts: Sequence[NGrams]) -> NGrams:
    return NGrams(*(np.concatenate([getattr(part, name) for part in parts]) for name in ("ids", "text", "position")))


def _sorted(ids: Int[np.ndarray, "n t"]) -> tuple[Int[np.ndarray, " n"], Bool[np.ndarray, " n"]]:
    """The stable order of rows by their ids, and which of the ordered rows differ from the one before.

    As many ids as fit are packed into one integer: 5 times faster than `np.unique` by rows.
    """
    bits = max(int(ids.max(initial=0)).bit_length(), 1)
    keys = []
    for start in range(0, ids.shape[1], 63 // bits):
        key = np.zeros(len(ids), np.int64)
        for column in ids.T[start : start + 63 // bits]:
            key = key << bits | column
        keys.append(key)
    order = np.lexsort(keys[::-1])
    new = np.ones(len(ids), dtype=bool)
    new[1:] = np.any([key[order[1:]] != key[order[:-1]] for key in keys], axis=0)
    return order, new
