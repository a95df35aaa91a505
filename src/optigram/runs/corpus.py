"""The corpus of a search: what the user gives, texts that the model itself writes, or by default those that come with the bundled model."""

from typing import Any

import torch

from optigram.errors import InputError
from optigram.models.base import Model
from optigram.models.imaginet import Imaginet
from optigram.models.loading import BUNDLED, CAPTIONS, bundled
from optigram.text.sources import SAMPLED, Corpus, open_corpus


def corpus_for(model: Model, source: Any, seed: int = 0) -> Corpus:
    """The corpus that `open_corpus` opens, or of `sampled:N`; None: for the bundled model, texts that were sampled once and come with it.

    Raises InputError if no source is given for another model.
    """
    if source is None:
        if model.name != BUNDLED:
            raise InputError(f"corpus search needs a corpus; give --corpus FILE, or --corpus {SAMPLED}20000 to sample from the model")
        read = open_corpus(bundled() / CAPTIONS)
        return Corpus(f"{sum(1 for _ in read.texts()):,} sentences sampled from the model's own language path (bundled)", read.sources)
    count = _sampled_count(source)
    if count is None:
        return open_corpus(source)
    if not isinstance(model, Imaginet) or not model.first_words.any():
        raise InputError(f"{model.name} cannot write sentences, for it was trained on none; give --corpus FILE")
    texts = tuple(model.sample(count, torch.Generator().manual_seed(seed)))
    return Corpus(f"{count:,} sentences sampled from the model's own language path (seed {seed})", held=texts)


def _sampled_count(source: Any) -> int | None:
    """The N of `sampled:N`, or None for any other source."""
    if not isinstance(source, str) or not source.startswith(SAMPLED):
        return None
    count = source.removeprefix(SAMPLED)
    if not count.isdecimal() or int(count) < 1:
        raise InputError(f"expected sampled:N with N at least 1, such as sampled:20000, got {source!r}")
    return int(count)
