"""How long a text a model can read, found out by trying: there are too many kinds of positions to look it up."""

from collections.abc import Sequence

import torch

from optigram.errors import InputError
from optigram.models.base import Model

PROBE = 2  # tokens that every model can read


def check_length(model: Model, sites: Sequence[str], tokens: int, remedy: str) -> None:
    """Read one text of `tokens` tokens. Raises InputError, with the remedy, if the model fails at it and not at a short one."""
    try:
        _read(model, sites, tokens)
    except (IndexError, RuntimeError, MemoryError, ValueError) as error:
        try:
            _read(model, sites, PROBE)
        except (IndexError, RuntimeError, MemoryError, ValueError):  # then the length is not to blame
            raise error from None
        raise InputError(f"{model.name} cannot read {tokens} tokens ({str(error)[:80]}); {remedy}") from error


def _read(model: Model, sites: Sequence[str], tokens: int) -> None:
    ids = torch.zeros(1, tokens, dtype=torch.int64, device=model.embedding.device)
    with torch.inference_mode():
        model.read(model.embedding[ids], sites)
