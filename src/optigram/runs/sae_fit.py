"""Whether a sparse autoencoder fits the place it was attached to: its reconstruction and its active latents on one batch.

An autoencoder at the wrong place, such as before a norm instead of after it, fails in silence: its latents never fire.
"""

from collections.abc import Sequence
from itertools import islice

import torch

from optigram.models.base import Model
from optigram.targets.latent import Fit, SparseAutoencoder, fit
from optigram.text.lexicon import lexicon
from optigram.text.template import Template, counted_places

TEXTS, LONGEST, RANDOM = 32, 64, 16  # texts tried, tokens of each at the most, words of a random one


def sae_fit(model: Model, site: str, autoencoder: SparseAutoencoder, texts: Sequence[str] = ()) -> Fit:
    """How an autoencoder fits a site, on the first of `texts`, or on random words if there are none.

    Texts run one by one, so that nothing is padded. Special tokens and the first position, an attention sink, are left out.
    """
    vocabulary, template = model.vocabulary, Template.bare(model.vocabulary)
    rows = [row for text in islice(texts, TEXTS) if (row := vocabulary.encode(text)[:LONGEST])]
    if not rows:
        words = torch.from_numpy(lexicon(vocabulary))
        rows = words[torch.randint(len(words), (TEXTS, RANDOM), generator=torch.Generator().manual_seed(0))].tolist()
    states = []
    with torch.no_grad():
        for row in rows:
            ids = torch.tensor([template.fill(row)], device=model.embedding.device)
            counted = torch.tensor(counted_places(template, len(row), vocabulary))
            states.append(model.read(model.embedding[ids], [site])[site][0, counted])
        return fit(autoencoder.to(model.embedding.device), torch.cat(states))
