"""The corpus of a search: what the user gives, texts that the model samples, or the captions that come with optigram."""

import contextlib
import json
from collections.abc import Callable
from typing import Any

from optigram.models.base import Model
from optigram.models.loading import BUNDLED, CAPTIONS, bundled
from optigram.models.sampling import SITES, can_sample, sample_texts
from optigram.runs.cache import Cache
from optigram.text.sources import Corpus, open_corpus, sampled_count

COUNT = 1000  # texts that a causal model samples where no corpus is given
KIND = "sampled"  # of files in the cache
CAPTIONS_READ = 2000  # bundled captions that stand in as the corpus of an encoder


def corpus_for(
    model: Model, source: Any, seed: int = 0, tell: Callable[[str], None] = lambda text: None, cache: Cache | None = None
) -> Corpus:
    """The corpus that `open_corpus` opens, or of `sampled:N`, which is kept in the `cache`.

    None stands for the bundled captions where the model is the bundled one, for `sampled:1000` where the model is causal, and
    for 2,000 bundled captions where it is an encoder. `tell` is told before a model samples, for that takes time, and of a column that
    was chosen among several.
    """
    count = sampled_count(source)
    if source is None and model.name == BUNDLED:
        read = open_corpus(bundled() / CAPTIONS)
        return Corpus(f"{sum(1 for _ in read.texts()):,} texts sampled from the model (bundled)", read.sources)
    if source is None and not can_sample(model):
        texts = [text for text, _ in zip(open_corpus(bundled() / CAPTIONS).texts(), range(CAPTIONS_READ), strict=False)]
        return Corpus(f"{len(texts):,} bundled captions (the model is no causal language model; give a corpus of your own)", held=texts)
    if source is not None and count is None:
        given = open_corpus(source)
        for remark in given.remarks:
            tell(remark)
        return given
    number = count or COUNT
    return Corpus(f"{number:,} texts sampled from the model (seed {seed})", held=_sampled(model, number, seed, tell, cache))


def _sampled(model: Model, number: int, seed: int, tell: Callable[[str], None], cache: Cache | None) -> tuple[str, ...]:
    """Texts that the model writes, or wrote in an earlier call."""
    head = next((linear for site in SITES if site in model.sites and (linear := model.sites[site].linear) is not None), None)
    key = None if cache is None or head is None else Cache.key(model, head.source, sampled=number, seed=seed)
    kept = None if cache is None or key is None else cache.get(KIND, key)
    if kept is not None:
        with contextlib.suppress(OSError, ValueError):
            return tuple(json.loads(kept.read_text(encoding="utf-8")))
    tell(f"sampling {number:,} texts from the model as its corpus")
    texts = tuple(sample_texts(model, number, seed))
    if cache is not None and key is not None:
        cache.put(KIND, key, lambda path: path.write_text(json.dumps(texts), encoding="utf-8"))
    return texts
