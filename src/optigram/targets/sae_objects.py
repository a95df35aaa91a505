"""Sparse autoencoders in memory: objects and mappings with the names of SAELens, of sparsify, or of plain files."""

import dataclasses
import functools
import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from optigram.errors import InputError
from optigram.targets.address import MEMORY
from optigram.targets.latent import SparseAutoencoder
from optigram.targets.sae_formats import PLAIN, autoencoder_of

SAELENS = ("W_enc", "b_enc", "W_dec", "b_dec", "threshold")
SPARSIFY = ("encoder.weight", "encoder.bias", "W_dec", "b_dec")
KNOWN = "W_enc and b_enc (SAELens), encoder.weight and encoder.bias (sparsify), or encoder"


def convert_autoencoder(sae: Any) -> SparseAutoencoder:
    """The autoencoder that an object holds, named by a hash of its weights. Raises InputError."""
    names, shown = _names(sae), f"the {type(sae).__name__} in memory"
    found = {name: part for name in names if (part := _part(sae, name)) is not None}
    read = autoencoder_of(found, _config(sae), shown)
    return dataclasses.replace(read, name=MEMORY + _digest(read))


def _names(sae: Any) -> tuple[str, ...]:
    for first, names in ((SAELENS[0], SAELENS), (SPARSIFY[0], SPARSIFY), (PLAIN[0], PLAIN)):
        if _part(sae, first) is not None:
            return names
    raise InputError(f"expected a sparse autoencoder: a path, or an object with {KNOWN}, got {type(sae).__name__} without them")


def _part(sae: Any, name: str) -> Tensor | None:
    """The tensor of this name, if there is one: an entry of a mapping, or an attribute, perhaps of an attribute."""
    value = (
        sae.get(name) if isinstance(sae, Mapping) else functools.reduce(lambda held, part: getattr(held, part, None), name.split("."), sae)
    )
    if isinstance(value, np.ndarray | int) and not isinstance(value, bool):
        return torch.tensor(value)
    return value.detach() if isinstance(value, Tensor) else None


def _config(sae: Any) -> dict[str, Any]:
    if isinstance(sae, SparseAutoencoder):
        return {"top": sae.top, "scaling": sae.scaling, "made_for": sae.made_for}
    config = sae.get("cfg", {}) if isinstance(sae, Mapping) else getattr(sae, "cfg", {})
    if (written := getattr(config, "to_dict", None)) is not None:
        return dict(written())
    return dict(config) if isinstance(config, Mapping) else dict(vars(config)) if hasattr(config, "__dict__") else {}


def _digest(sae: SparseAutoencoder) -> str:
    """A short hash of all that the latents depend on."""
    found = hashlib.sha256(repr((sae.top, sae.scaling, tuple(sae.encoder.shape))).encode())
    for part in (sae.encoder, sae.bias, sae.center, sae.threshold):
        found.update(part.cpu().numpy().tobytes())
    return found.hexdigest()[:12]
