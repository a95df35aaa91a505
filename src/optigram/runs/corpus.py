"""The corpus of a search: what the user gives, texts that the model samples, or the captions that come with optigram."""

from collections.abc import Callable
from typing import Any

from optigram.models.base import Model
from optigram.models.loading import BUNDLED, CAPTIONS, bundled
from optigram.models.sampling import can_sample, sample_texts
from optigram.text.sources import Corpus, open_corpus, sampled_count

COUNT = 1000  # texts that a causal model samples where no corpus is given
CAPTIONS_READ = 2000  # bundled captions that stand in as the corpus of an encoder


def corpus_for(model: Model, source: Any, seed: int = 0, tell: Callable[[str], None] = lambda text: None) -> Corpus:
    """The corpus that `open_corpus` opens, or of `sampled:N`.

    None stands for the bundled captions where the model is the bundled one, for `sampled:1000` where the model is causal, and
    for 2,000 bundled captions where it is an encoder. `tell` is told before a model samples, for that takes time.
    """
    count = sampled_count(source)
    if source is None and model.name == BUNDLED:
        read = open_corpus(bundled() / CAPTIONS)
        return Corpus(f"{sum(1 for _ in read.texts()):,} texts sampled from the model (bundled)", read.sources)
    if source is None and not can_sample(model):
        texts = [text for text, _ in zip(open_corpus(bundled() / CAPTIONS).texts(), range(CAPTIONS_READ), strict=False)]
        return Corpus(f"{len(texts):,} bundled captions (the model is no causal language model; give a corpus of your own)", held=texts)
    if source is not None and count is None:
        return open_corpus(source)
    number = count or COUNT
    tell(f"sampling {number:,} texts from the model as its corpus")
    return Corpus(f"{number:,} texts sampled from the model (seed {seed})", held=tuple(sample_texts(model, number, seed)))
