"""Sparse autoencoders in memory: objects and mappings with the names of SAELens, dictionary_learning, sparsify, or of plain files."""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from optigram.errors import InputError
from optigram.targets.address import MEMORY
from optigram.targets.latent import SparseAutoencoder, scaled
from optigram.targets.sae_layouts import PLAIN, TRAINED, Tensors, autoencoder_of

W_NAMES = ("W_enc", "b_enc", "W_dec", "b_dec", "threshold", "topk_threshold", "b_gate", "b_mag", "r_mag", "group_sizes")
LAYER_NAMES = ("encoder.weight", "encoder.bias", "W_dec", "b_dec")
BOTH_LAYERS = ("decoder.weight", "decoder.bias", "decoder_bias", "bias", "threshold", "k", "r_mag", "gate_bias", "mag_bias")
CLASSES = ("JumpReluAutoEncoder", "AutoEncoderTopK", "BatchTopKSAE", "MatryoshkaBatchTopKSAE")  # of dictionary_learning
KNOWN = "W_enc and b_enc (SAELens), encoder.weight and encoder.bias (sparsify, dictionary_learning), or encoder"
TRIED = 4  # states on which an object's own `encode` is compared with its weights
CLOSE, ROUGH = 1e-4, 0.05  # of the largest pre-activation: what rounding may change in float32, and in half precision


def convert_autoencoder(sae: Any) -> SparseAutoencoder:
    """The autoencoder that an object holds, named by a hash of its weights.

    Where the object has an `encode`, it is tried: it must give the latents that the weights give. Raises InputError.
    """
    names, shown = _names(sae), f"the {type(sae).__name__} in memory"
    found = {name: part for name in names if (part := _part(sae, name)) is not None}
    config = _config(sae)
    read = autoencoder_of(found, config, shown)
    unsaid = "W_enc" in found and "apply_b_dec_to_input" not in config and bool(read.center.any())
    verdict = _agrees(read, sae, found, config)
    if verdict is False and unsaid:
        read = autoencoder_of(found, config | {"apply_b_dec_to_input": False}, shown)
        verdict = _agrees(read, sae, found, config)
    if verdict or (verdict is None and (config or not unsaid)):  # a configuration without the entry stands for yes
        return dataclasses.replace(read, name=MEMORY + read.digest)
    if verdict is None:
        raise InputError(
            f"{shown} does not say whether b_dec is taken off its input; give it cfg={{'apply_b_dec_to_input': True}}, or False"
        )
    raise InputError(f"{shown} encodes otherwise than its weights tell; write its latent as a function of states, custom(function, sites)")


def _names(sae: Any) -> tuple[str, ...]:
    if _part(sae, "W_enc") is not None:
        return W_NAMES
    if _part(sae, "encoder.weight") is not None:
        return LAYER_NAMES + (BOTH_LAYERS if _part(sae, "decoder.weight") is not None else ())
    if _part(sae, "encoder") is not None:
        return PLAIN
    raise InputError(f"expected a sparse autoencoder: a path, or an object with {KNOWN}, got {type(sae).__name__} without them")


def _part(sae: Any, name: str) -> Tensor | None:
    """The tensor of this name, if there is one: an entry of a mapping, or an attribute, perhaps of an attribute."""
    value = (
        sae.get(name) if isinstance(sae, Mapping) else functools.reduce(lambda held, part: getattr(held, part, None), name.split("."), sae)
    )
    if isinstance(value, np.ndarray | np.number | int) and not isinstance(value, bool):
        try:
            return torch.tensor(value)
        except (TypeError, ValueError, RuntimeError, OverflowError) as error:
            raise InputError(f"{name} of the {type(sae).__name__} in memory is not of numbers that torch has: {error}") from error
    return value.detach() if isinstance(value, Tensor) else None


def _config(sae: Any) -> dict[str, Any]:
    if isinstance(sae, SparseAutoencoder):
        return {"top": sae.top, "scaling": sae.scaling, "made_for": sae.made_for}
    config = sae.get("cfg", {}) if isinstance(sae, Mapping) else getattr(sae, "cfg", {})
    if (written := getattr(config, "to_dict", None)) is not None:
        found = dict(written())
    else:
        found = dict(config) if isinstance(config, Mapping) else dict(vars(config)) if hasattr(config, "__dict__") else {}
    if type(sae).__name__ in CLASSES:
        found["trainer"] = {"dict_class": type(sae).__name__}
    said = None if isinstance(sae, Mapping) else getattr(sae, "apply_b_dec_to_input", None)
    return found | ({"apply_b_dec_to_input": said} if isinstance(said, bool) else {})


def _agrees(read: SparseAutoencoder, sae: Any, found: Tensors, config: Mapping[str, Any]) -> bool | None:
    """Whether the object's own `encode` gives the latents that its weights give; None where it cannot be tried.

    States near a threshold, where rounding decides, do not count. What is still trained picks its latents by the batch.
    """
    weight = next(iter(found.values()))
    if isinstance(sae, Mapping) or not callable(getattr(sae, "encode", None)) or config.get("architecture") in TRAINED:
        return None
    states = torch.randn(TRIED, read.encoder.shape[1], generator=torch.Generator().manual_seed(0))
    states[0] = 0 if read.scaling == "none" else states[0]
    theirs = _own_latents(sae, states.to(weight), len(read.encoder))
    if theirs is None:
        return None
    states = scaled(states.to(weight.dtype).float(), read.scaling)
    before, ours = read.before(states), read.latents(states)
    allowed = (CLOSE if weight.dtype in (torch.float32, torch.float64) else ROUGH) * float(before.abs().max())
    edge = read.threshold if read.top is None else torch.maximum(read.threshold, before.topk(read.top).values[:, -1:])
    clear = (before - edge).abs() > allowed
    return bool(((ours - theirs).abs() <= allowed)[clear].all())


def _own_latents(sae: Any, states: Tensor, latents: int) -> Tensor | None:
    """What the object encodes states to [n latents], also where it gives the largest latents and their indices alone."""
    try:
        with torch.no_grad():
            encoded = sae.encode(states)
            if hasattr(encoded, "top_acts"):
                dense = torch.zeros(len(states), latents, device=states.device)
                encoded = dense.scatter(1, encoded.top_indices, encoded.top_acts.float())
    except Exception:  # it takes something else than states: heads apart, or a dictionary
        return None
    encoded = encoded[0] if isinstance(encoded, tuple) and encoded else encoded
    if not isinstance(encoded, Tensor) or tuple(encoded.shape) != (len(states), latents):
        return None
    return (encoded.to_dense() if encoded.is_sparse else encoded).detach().float().cpu()
