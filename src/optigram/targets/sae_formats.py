"""Directions and sparse autoencoders as files: safetensors, and the folders of SAELens and sparsify. Nothing is unpickled."""

import dataclasses
import functools
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from optigram.errors import InputError, nearest
from optigram.shapes import Float
from optigram.targets.address import MEMORY
from optigram.targets.latent import Scaling, SparseAutoencoder

SAELENS, SPARSIFY, CONFIG = "sae_weights.safetensors", "sae.safetensors", "cfg.json"
PLAIN = ("encoder", "bias", "center", "threshold", "decoder", "decoder_bias", "k")
SCALINGS: dict[str, Scaling] = {
    "none": "none",
    "expected_average_only_in": "none",  # SAELens folds it into the weights when training ends
    "constant_norm_rescale": "constant_norm",
    "layer_norm": "layer_norm",
}
SAELENS_PARTS = ("W_enc", "b_enc", "W_dec", "b_dec", "threshold")
SPARSIFY_PARTS = ("encoder.weight", "encoder.bias", "W_dec", "b_dec")
KNOWN = "W_enc and b_enc (SAELens), encoder.weight and encoder.bias (sparsify), or encoder"


def open_autoencoder(source: Any) -> SparseAutoencoder:
    """The autoencoder of an object in memory, or read from a path.

    A path is a folder of SAELens (cfg.json, sae_weights.safetensors) or sparsify (cfg.json, sae.safetensors), or a plain file
    `.safetensors` with `encoder` [n h] and perhaps `bias` [n], `center` [h], `threshold` [n] (JumpReLU), `k` (TopK), `decoder` [n h]
    and `decoder_bias` [h]. An object or mapping has the same names, and its autoencoder is named by a hash of its weights. Raises
    InputError.
    """
    if not isinstance(source, str):
        return _converted(source)
    path = Path(source)
    if (path / SAELENS).is_file():
        found, config = _tensors(path / SAELENS), _config(path / CONFIG)
        for name in ("W_enc", "b_enc", "W_dec", "b_dec"):
            _named(found, name, source)
        return _saelens(found, config, source)
    if (path / SPARSIFY).is_file():
        found, config = _tensors(path / SPARSIFY), _config(path / CONFIG)
        _named(found, "b_dec", source)
        return _sparsify(found, config, source)
    if path.is_file():
        return _plain(_tensors(path), {}, source)
    raise InputError(
        f"no autoencoder at {source!r}; expected a folder with {SAELENS} or {SPARSIFY} beside {CONFIG}, or a .safetensors file"
    )


def _autoencoder_of(found: dict[str, Tensor], config: dict[str, Any], source: str) -> SparseAutoencoder:
    """The autoencoder that tensors with the names of SAELens, sparsify or plain files stand for. Decoders may be missing."""
    read = _saelens if "W_enc" in found else _sparsify if "encoder.weight" in found else _plain
    return read(found, config, source)


def read_vector(source: str, name: str) -> Float[Tensor, " h"]:
    """The one-dimensional tensor of this name in a `.safetensors` file."""
    if not Path(source).is_file():
        raise InputError(f"no file {source!r}; expected a .safetensors file with a direction named {name!r}")
    known = _tensors(Path(source))
    if name not in known:
        raise InputError(f"{source} holds no direction {name!r}{nearest(name, known)}; it holds {', '.join(known)}")
    if known[name].ndim != 1:
        raise InputError(f"{name!r} in {source} has the shape {list(known[name].shape)}; expected a direction, of one dimension")
    return known[name].float()


def _tensors(path: Path) -> dict[str, Tensor]:
    """Every tensor of a safetensors file."""
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise InputError(f"cannot read {path} as safetensors: {str(error).splitlines()[0]}") from error


def _config(path: Path) -> dict[str, Any]:
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read {path}: {error}; it must stand beside the weights") from error
    if not isinstance(config, dict):
        raise InputError(f"{path} is no configuration of an autoencoder; expected a JSON object")
    return config


def _saelens(found: dict[str, Tensor], config: dict[str, Any], source: str) -> SparseAutoencoder:
    kind, scaling = _saelens_kind(found, config, source), config.get("normalize_activations", "none")
    if scaling not in SCALINGS:
        raise InputError(f"{source} normalises its input by {scaling!r}; expected one of {', '.join(SCALINGS)}")
    parts = {"encoder": _named(found, "W_enc", source).T, "bias": _named(found, "b_enc", source)}
    parts |= {name: found[key] for name, key in (("decoder", "W_dec"), ("decoder_bias", "b_dec")) if key in found}
    if config.get("apply_b_dec_to_input", True) and "decoder_bias" in parts:
        parts["center"] = parts["decoder_bias"]
    if kind == "jumprelu":
        parts["threshold"] = _named(found, "threshold", source).clamp(min=0)
    if config.get("rescale_acts_by_decoder_norm"):  # latents are as large as what they write
        length = _named(found, "W_dec", source).float().norm(dim=-1)
        parts["encoder"], parts["bias"] = parts["encoder"] * length[:, None], parts["bias"] * length
        parts["decoder"] = parts["decoder"] / length[:, None]
    top = config.get("k", (config.get("activation_fn_kwargs") or {}).get("k")) if kind == "topk" else None
    if kind == "topk" and top is None:
        raise InputError(f"{source} is of the kind topk, but its {CONFIG} does not say k")
    place = (config.get("metadata") or {}).get("hook_name") or config.get("hook_name")
    return _checked(source, parts, {"top": top, "scaling": SCALINGS[scaling], "made_for": place})


def _saelens_kind(found: dict[str, Tensor], config: dict[str, Any], source: str) -> str:
    """Which function makes latents of an autoencoder; where no architecture is named, the weights tell."""
    kind = config.get("architecture", "jumprelu" if "threshold" in found else "standard")
    activation = config.get("activation_fn_str", config.get("activation_fn", "relu"))
    if kind == "standard" and (activation == "topk" or ("architecture" not in config and "k" in config)):
        kind = "topk"
    if kind not in ("standard", "jumprelu", "topk") or activation not in ("relu", "topk"):
        raise InputError(f"{source} is of the kind {kind} ({activation}); expected standard (relu), jumprelu or topk")
    return kind


def _sparsify(found: dict[str, Tensor], config: dict[str, Any], source: str) -> SparseAutoencoder:
    if config.get("activation", "topk") != "topk" or config.get("signed"):
        raise InputError(f"{source} is of the kind {config.get('activation', 'signed')}; expected topk")
    if "k" not in config:
        raise InputError(f"{source} does not say k in its {CONFIG}")
    parts = {"encoder": _named(found, "encoder.weight", source), "bias": _named(found, "encoder.bias", source)}
    if "b_dec" in found:
        parts["decoder_bias"] = found["b_dec"]
    if not config.get("transcode"):
        parts |= {name: found[key] for name, key in (("center", "b_dec"), ("decoder", "W_dec")) if key in found}
    return _checked(source, parts, {"top": config["k"]})


def _plain(found: dict[str, Tensor], settings: dict[str, Any], source: str) -> SparseAutoencoder:
    _named(found, "encoder", source)
    top = {"top": int(found["k"])} if "k" in found else {}
    return _checked(source, {name: value for name, value in found.items() if name != "k"}, settings | top)


def _named(found: dict[str, Tensor], name: str, source: str) -> Tensor:
    if name not in found:
        raise InputError(f"{source} has no tensor {name!r}; it holds {', '.join(found)}")
    return found[name]


def _checked(source: str, parts: dict[str, Tensor], settings: dict[str, Any]) -> SparseAutoencoder:
    """The autoencoder of these parts, in float32, if their shapes fit together."""
    if parts["encoder"].ndim != 2:
        raise InputError(f"the encoder of {source} has the shape {list(parts['encoder'].shape)}; expected latents x width")
    n, h = parts["encoder"].shape
    shapes = {"encoder": (n, h), "bias": (n,), "center": (h,), "threshold": (n,), "decoder": (n, h), "decoder_bias": (h,)}
    for name, value in parts.items():
        if name in shapes and value.shape != shapes[name]:
            raise InputError(f"{name} of {source} has the shape {list(value.shape)}; expected {list(shapes[name])}, as its encoder has")
    top = settings.get("top")
    if top is not None and not 0 < top <= n:
        raise InputError(f"{source} keeps the {top} largest of {n} latents; expected from 1 to {n}")
    whole = {name: torch.zeros(shapes[name]) for name in ("bias", "center", "threshold")}
    whole |= {name: value.float().contiguous() for name, value in parts.items() if name in shapes}
    return SparseAutoencoder(source, **whole, **settings)


def _converted(sae: Any) -> SparseAutoencoder:
    """The autoencoder that an object holds, named by a hash of its weights. Raises InputError."""
    names, shown = _names(sae), f"the {type(sae).__name__} in memory"
    found = {name: part for name in names if (part := _part(sae, name)) is not None}
    read = _autoencoder_of(found, _config_of(sae), shown)
    return dataclasses.replace(read, name=MEMORY + _digest(read))


def _names(sae: Any) -> tuple[str, ...]:
    for first, names in ((SAELENS_PARTS[0], SAELENS_PARTS), (SPARSIFY_PARTS[0], SPARSIFY_PARTS), (PLAIN[0], PLAIN)):
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


def _config_of(sae: Any) -> dict[str, Any]:
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
