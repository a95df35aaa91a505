"""Whole texts: free words between the fixed ids of a template, the positions that count, and which of them survive re-tokenization."""

import functools
from collections.abc import Callable

import torch
from torch import Tensor

from optigram.models.base import Model
from optigram.shapes import Bool, Int, Shaped
from optigram.text.template import Template, counted_places


class Layout:
    """The places of `length` free words in a template, for one model.

    `ends` are the positions after the fixed beginning and after each free word; `looked` [s] are the positions that pools look at.
    """

    ends: list[int]
    looked: Bool[Tensor, " s"]

    def __init__(self, template: Template, length: int, model: Model) -> None:
        self._vocabulary, self._device = model.vocabulary, model.embedding.device
        self._pieces = [
            piece if isinstance(piece, range) else torch.tensor(piece, dtype=torch.int64, device=self._device)
            for piece in template.pieces(length)
        ]
        self.ends = template.ends(length)
        counted = torch.tensor(counted_places(template, length, model.vocabulary))
        self.looked = counted if model.attends else torch.ones_like(counted)
        self._survives = functools.lru_cache(maxsize=1 << 20)(model.vocabulary.survives)

    def whole(self, ids: Int[Tensor, "k1 c t"]) -> Int[Tensor, "k1 c s"]:
        """Texts with the template's ids around them."""
        return self.surround(ids.to(self._device)[..., None], lambda fixed: fixed[:, None])[..., 0]

    def surround(self, free: Shaped[Tensor, "k1 c t n"], of: Callable[[Tensor], Tensor]) -> Shaped[Tensor, "k1 c s n"]:
        """Put what `of` gives [s n] for the template's ids around free ones."""
        parts = []
        for piece in self._pieces:
            if isinstance(piece, range):
                parts.append(free[:, :, piece.start : piece.stop])
            else:
                parts.append(of(piece).expand(*free.shape[:2], -1, -1))
        return torch.cat(parts, dim=2)

    def survive(self, ids: Int[Tensor, "k1 c t"]) -> Bool[Tensor, "k1 c"]:
        """Which texts survive re-tokenization."""
        texts = self.whole(ids).flatten(0, 1).tolist()
        return torch.tensor([self._survives(tuple(text)) for text in texts], device=self._device).view(ids.shape[:2])

    def surviving(self, words: Int[Tensor, "k c t m"]) -> Int[Tensor, "k c t"]:
        """Texts of one of the m words per position: the first with which the text so far survives, else the first."""
        texts = torch.tensor([self._first_surviving(drawn) for drawn in words.flatten(0, 1).tolist()], device=words.device)
        return texts.view(words.shape[:3])

    def _first_surviving(self, words: list[list[int]]) -> list[int]:
        text: list[int] = []
        for drawn in words:
            text.append(next((word for word in drawn if self._vocabulary.survives([*text, word])), drawn[0]))
        return text
