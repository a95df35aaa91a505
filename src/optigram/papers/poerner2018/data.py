"""Captions to train Imaginet on (paper, section 3): read, split by image, batched."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from optigram.errors import InputError
from optigram.papers.poerner2018.features import Images
from optigram.text.documents import Document
from optigram.text.vocabulary import UNKNOWN, Vocabulary

SPLITS = ("train", "validation", "test")
SHARES = (0.05, 0.05)  # of validation and test, where the data has no splits of its own


@dataclass(frozen=True)
class Captions:
    """Captions of one split: word tuples, and the image row of each (-1: no known image)."""

    words: list[tuple[str, ...]]
    images: np.ndarray

    def __len__(self) -> int:
        return len(self.words)

    def encode(self, vocabulary: Vocabulary) -> list[np.ndarray]:
        """Word ids of each caption; words that the vocabulary lacks become `<unk>`."""
        ids = {token: i for i, token in enumerate(vocabulary.tokens)}
        unknown = ids[UNKNOWN]
        return [np.array([ids.get(word, unknown) for word in words]) for words in self.words]


@dataclass(frozen=True)
class Dataset:
    """Captions of each of SPLITS, and the images they describe."""

    parts: dict[str, Captions]
    images: Images | None

    def fingerprint(self) -> str:
        """A digest of every caption, its split and image row, and of the shape of the features."""
        digest = hashlib.sha256(repr(self.images and (len(self.images.features), self.images.features.width)).encode())
        for name, part in self.parts.items():
            digest.update(f"{name} {part.images.tolist()}\n".encode())
            for words in part.words:
                digest.update(f"{' '.join(words)}\n".encode())
        return digest.hexdigest()

    @classmethod
    def split(
        cls, captions: Iterable[Document], images: Images | None, shares: tuple[float, float], seed: int, by: str = "image"
    ) -> "Dataset":
        """Split captions into train, validation and test; `shares` are the fractions of validation and test.

        Test images are never trained on. Neither are validation images, unless `by` is "caption": then training may see another
        caption of a validation image. No training caption equals a held-out one.
        """
        rows = {} if images is None else images.rows
        groups: dict[str, list[tuple[tuple[str, ...], int]]] = {}
        for number, (_, text, image) in enumerate(captions):
            words = tuple(Vocabulary.words_of(text))
            if words:
                groups.setdefault(image if image is not None else f"caption {number}", []).append((words, rows.get(image or "", -1)))
        if rows and not rows.keys() & groups.keys():
            shown = f"{next(iter(groups), '')!r} and {next(iter(rows))!r}"
            raise InputError(
                f"expected captions and features of the same images, got none in common, such as {shown}; name images alike in both"
            )
        rng = np.random.default_rng(seed)
        keys = [str(key) for key in rng.permutation(sorted(groups))]
        tested, validated = (round(share * len(keys)) for share in reversed(shares))
        parts = {"test": [caption for key in keys[:tested] for caption in groups[key]]}
        if by == "image":
            parts["validation"] = [caption for key in keys[tested : tested + validated] for caption in groups[key]]
            parts["train"] = [caption for key in keys[tested + validated :] for caption in groups[key]]
        else:
            rest = [caption for key in keys[tested:] for caption in groups[key]]
            chosen = set(rng.permutation(len(rest))[: round(shares[0] * len(rest))].tolist())
            parts["validation"] = [caption for i, caption in enumerate(rest) if i in chosen]
            parts["train"] = [caption for i, caption in enumerate(rest) if i not in chosen]
        held_out = {words for name in SPLITS[1:] for words, _ in parts[name]}
        parts["train"] = [caption for caption in parts["train"] if caption[0] not in held_out]
        if not all(parts.values()):
            raise InputError(f"{len(keys)} captioned images or captions are too few to train on; give more captions")
        found = {name: Captions([words for words, _ in parts[name]], np.array([row for _, row in parts[name]])) for name in SPLITS}
        return cls(found, images)


@dataclass(frozen=True)
class Batch:
    """Captions padded on the right: `ids` [b s], `lengths` [b], `images` [b] rows or -1."""

    ids: Tensor
    lengths: Tensor
    images: Tensor

    def __len__(self) -> int:
        return len(self.ids)

    @classmethod
    def batches(
        cls, texts: Sequence[np.ndarray], images: np.ndarray, size: int, rng: np.random.Generator | None = None, bucketed: bool = True
    ) -> "Iterator[Batch]":
        """Batches of similar lengths, to avoid padding; `rng` shuffles captions of equal length, and the order of batches."""
        order = np.arange(len(texts)) if rng is None else rng.permutation(len(texts))
        if bucketed:
            order = order[np.argsort([len(texts[i]) for i in order.tolist()], kind="stable")]
        starts = list(range(0, len(texts), size))
        for start in starts if rng is None else rng.permutation(starts).tolist():
            rows = order[start : start + size]
            lengths = np.array([len(texts[i]) for i in rows.tolist()])
            ids = np.zeros((len(rows), lengths.max()), dtype=np.int64)
            for row, i in enumerate(rows.tolist()):
                ids[row, : len(texts[i])] = texts[i]
            yield cls(torch.from_numpy(ids), torch.from_numpy(lengths), torch.from_numpy(images[rows]))
