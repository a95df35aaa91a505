"""The sentences that corpus search reads: a file of the user's, or sentences that the model's own language path wrote."""

import gzip

from optigram.errors import InputError
from optigram.models.base import Model
from optigram.models.loading import BUNDLED, CAPTIONS, bundled
from optigram.models.sampling import sample_texts
from optigram.runs.plan import Sentences
from optigram.text.formats import SAMPLED, sampled_count, sentences


def sentences_for(model: Model, source: str | None, seed: int = 0) -> Sentences:
    """The sentences of a file, or of `sampled:N`; by default, for the bundled model, those sampled once and bundled.

    Raises InputError if no source is given for another model.
    """
    if source is None:
        if model.name != BUNDLED:
            raise InputError(f"corpus search needs a corpus; give --corpus FILE, or --corpus {SAMPLED}20000 to sample from the model")
        with gzip.open(bundled() / CAPTIONS, "rt", encoding="utf-8") as file:
            texts = file.read().splitlines()
        return Sentences(f"{len(texts):,} sentences sampled from the model's own language path (bundled)", texts)
    count = sampled_count(source)
    if count is None:
        return Sentences(source, [sentence.text for sentence in sentences(source)])
    texts = sample_texts(model, count, seed)
    return Sentences(f"{count:,} sentences sampled from the model's own language path (seed {seed})", texts)
