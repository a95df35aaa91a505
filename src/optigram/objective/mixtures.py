"""Products over the vocabulary: mixtures of words, slopes per word, nearest words. A row has the same bits in any company."""

import torch
from torch import Tensor

from optigram.models.products import derived, product, transposed
from optigram.shapes import Float


def mixed(weights: Float[Tensor, "k c *n t v"], table: Float[Tensor, "*lists v d"]) -> Float[Tensor, "k c *n t d"]:
    """Weighted sums of the words of a table [v d], or of tables [k c t v d] of each restart and position."""
    if table.dim() == 2:
        return product(weights, table)
    lists = table if weights.dim() == 4 else table[:, :, None]
    return (weights[..., None, :] @ lists)[..., 0, :]


def per_word(slopes: Float[Tensor, "k c *n t d"], table: Float[Tensor, "*lists v d"]) -> Float[Tensor, "k c *n t v"]:
    """Slopes along embeddings as slopes along the weight of each word of a table as in `mixed`."""
    return product(slopes, transposed(table)) if table.dim() == 2 else mixed(slopes, table.mT)


def cosines(embeds: Float[Tensor, "*n d"], table: Float[Tensor, "v d"]) -> Float[Tensor, "*n v"]:
    """The cosine of embeddings to each word of a table."""
    units = derived(table, "units", lambda words: torch.nn.functional.normalize(words, dim=-1).T.contiguous())
    return product(torch.nn.functional.normalize(embeds, dim=-1), units)
