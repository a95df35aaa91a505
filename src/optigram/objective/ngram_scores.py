"""Scores of the n-grams of a corpus, chunk by chunk: for scans of n-grams alone and for corpus statistics, which are no searches."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from optigram.objective.objective import Objective
from optigram.shapes import Float, Int


def ngram_scores(
    objective: Objective, ngrams: Int[np.ndarray, "c t"], sizes: Sequence[int], fewest: int = 1
) -> Iterator[tuple[Int[Tensor, "n t"], Float[Tensor, "k n"]]]:
    """The n-grams [n t] of each chunk and their exact activations [k n] on the CPU, NaN where the model gives NaN.

    `sizes` are the lengths of the chunks, which sum to c. A chunk of less than `fewest` n-grams is filled up with copies of its last one,
    so that its forwards have the shape of all others.
    """
    for chunk in torch.from_numpy(ngrams).split(list(sizes)):
        copies = chunk[-1:].expand(max(fewest - len(chunk), 0), -1)
        scores = objective.score(torch.cat([chunk, copies])[None])
        yield chunk, scores.activation[:, : len(chunk)].cpu()
