"""Where a model keeps its vocabulary logits: the scores of all its tokens at each position."""

from optigram.models.base import Model

SITES = ("logits", "language")  # of transformers and modules with a head; of an Imaginet


def vocabulary_logits(model: Model) -> str | None:
    """The site with one unit per token of the vocabulary, or None: an encoder has none."""
    return next((site for site in SITES if site in model.sites and model.sites[site].width == len(model.vocabulary)), None)
