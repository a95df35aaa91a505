"""Directions and sparse autoencoders as files: safetensors, npz and weights of torch, beside their JSON. Nothing is unpickled unchecked.

Read are the folders of SAELens (cfg.json, sae_weights.safetensors), sparsify (cfg.json, sae.safetensors), dictionary_learning
(config.json, ae.pt) and Gemma Scope (params.npz, or params.safetensors beside config.json), and plain `.safetensors` files.
"""

import dataclasses
import importlib
import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

from optigram.errors import InputError, nearest
from optigram.files import is_file
from optigram.shapes import Float
from optigram.targets.float32 import as_float32
from optigram.targets.latent import SparseAutoencoder
from optigram.targets.sae_config import SaeConfig
from optigram.targets.sae_layouts import Tensors, autoencoder_of
from optigram.targets.sae_objects import convert_autoencoder

RELEASE = "saelens:"


def open_autoencoder(source: Any) -> SparseAutoencoder:
    """The autoencoder of an object in memory, or of a path: a folder that a library saved, the file of weights in it, or a plain file.

    A plain `.safetensors` file holds `encoder` [n h], and may hold `bias` [n], `center` [h], `threshold` [n] (JumpReLU), `k`
    (TopK), `decoder` [n h] and `decoder_bias` [h]. Raises InputError.
    """
    if not isinstance(source, str):
        return convert_autoencoder(source)
    if source.startswith(RELEASE):
        return _release(source)
    path = Path(source)
    for name, layout in FORMATS.items():
        weights = path if path.name == name else path / name
        plain = weights == path and layout.config is not None and layout.needs_config and not is_file(path.parent / layout.config)
        if is_file(weights) and not plain:  # a plain file may have the name that a library gives
            config = {} if layout.config is None else _config(weights.parent / layout.config, layout.needs_config)
            found = layout.read(weights)
            for tensor in layout.needed:
                if tensor not in found:
                    raise InputError(f"{source} has no tensor {tensor!r}; it holds {SaeConfig.shown(found)}")
            return autoencoder_of(*layout.adapt(found, config, source), source)
    if is_file(path):
        return autoencoder_of(_safetensors(path), {}, source)
    raise InputError(
        f"no autoencoder at {source!r}; expected a folder with {', '.join(FORMATS)}, a .safetensors file, or saelens:RELEASE:ID"
    )


def read_vector(source: str, name: str) -> Float[Tensor, " h"]:
    """The one-dimensional tensor of this name in a `.safetensors` file, in float32. Raises InputError."""
    if not is_file(Path(source)):
        raise InputError(f"no file {source!r}; expected a .safetensors file with a direction named {name!r}")
    known = _safetensors(Path(source))
    if name not in known:
        raise InputError(f"{source} holds no direction {name!r}{nearest(name, known)}; it holds {SaeConfig.shown(known)}")
    if known[name].ndim != 1 or not len(known[name]):
        raise InputError(f"{name!r} in {source} has the shape {list(known[name].shape)}; expected a direction, of one dimension")
    return as_float32(known[name], f"a direction {name!r} in {source}")


def _release(source: str) -> SparseAutoencoder:
    """The autoencoder `saelens:RELEASE:ID` of SAELens's list, which its library fetches. Raises InputError."""
    release, _, name = source.removeprefix(RELEASE).partition(":")
    if not release or not name:
        raise InputError(f"expected saelens:RELEASE:ID, such as saelens:gpt2-small-res-jb:blocks.8.hook_resid_pre, got {source!r}")
    if importlib.util.find_spec("sae_lens") is None:
        raise InputError(f"expected SAELens for {source}, got none installed; pip install sae-lens, or give a folder")
    try:
        found = importlib.import_module("sae_lens").SAE.from_pretrained(release, name)
    except Exception as error:  # whatever the library, and the network below it, raise
        reason = " ".join(str(error).split())[:200]
        raise InputError(
            f"SAELens cannot open {source} ({type(error).__name__}: {reason}); check the release, the id and the network"
        ) from error
    first = found[0] if isinstance(found, tuple) else found  # before version 6: the autoencoder, its configuration, its sparsity
    return dataclasses.replace(convert_autoencoder(first), name=source)


def _loaded(path: Path, kind: str, load: Callable[[], Any]) -> Tensors:
    """What a reader of files gives, if it is tensors by name."""
    try:
        found = load()
    except Exception as error:  # whatever a reader raises for a file that is torn, foreign or refused
        reason = str(error)[:200] or type(error).__name__
        raise InputError(f"cannot read {path} as {kind}: {reason}") from error
    if not isinstance(found, dict) or not all(isinstance(name, str) and isinstance(part, Tensor) for name, part in found.items()):
        raise InputError(f"{path} holds no tensors by name; expected the weights of an autoencoder as {kind}")
    return {name: part.detach() for name, part in found.items()}


def _safetensors(path: Path) -> Tensors:
    return _loaded(path, "safetensors", lambda: load_file(path))


def _weights_of_torch(path: Path) -> Tensors:
    return _loaded(path, "weights of torch", lambda: torch.load(path, map_location="cpu", weights_only=True))


def _arrays(path: Path) -> Tensors:
    def load() -> dict[str, Tensor]:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as found:  # which leaves a torn file open
            return {name: torch.from_numpy(found[name]) for name in found.files}

    return _loaded(path, "arrays of NumPy", load)


def _config(path: Path, needed: bool) -> dict[str, Any]:
    if not needed and not is_file(path):
        return {}
    try:
        config = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"cannot read {path}: {error}; it must stand beside the weights") from error
    if not isinstance(config, dict):
        raise InputError(f"{path} is no configuration of an autoencoder; expected a JSON object")
    return config


def _as_it_is(found: Tensors, config: dict[str, Any], source: str) -> tuple[Tensors, dict[str, Any]]:
    return found, config


def _of_gemma_scope(found: Tensors, config: dict[str, Any], source: str) -> tuple[Tensors, dict[str, Any]]:
    """JumpReLU whose decoder bias is not taken off its input. Gemma Scope 2 writes names in lower case."""
    found = {name.replace("w_", "W_"): part for name, part in found.items()}
    transcodes = "hf_hook_point_out" in config or "transcoder" in source
    kind = "jumprelu_transcoder" if transcodes else "jumprelu"
    return found, {"architecture": kind, "apply_b_dec_to_input": False, "hook_name": config.get("hf_hook_point_in")}


def _of_dictionary_learning(found: Tensors, config: dict[str, Any], source: str) -> tuple[Tensors, dict[str, Any]]:
    """Its plain class is scaled to decoders of length 1 when it is opened, as the library does."""
    trainer = config.get("trainer")
    if "W_enc" in found and not (isinstance(trainer, dict) and trainer.get("dict_class")):
        config = config | {"trainer": {"dict_class": "JumpReluAutoEncoder"}}
    if "bias" not in found or not {"decoder.weight", "encoder.weight", "encoder.bias"} <= found.keys():
        return found, config
    weight, bias, decoder = (
        as_float32(found[name], f"{name} of {source}") for name in ("encoder.weight", "encoder.bias", "decoder.weight")
    )
    if decoder.ndim != 2 or weight.shape != decoder.T.shape or bias.shape != weight.shape[:1]:
        raise InputError(f"the decoder of {source} has the shape {list(decoder.shape)}; its encoder has {list(weight.shape)}")
    norms = decoder.norm(dim=0)
    if torch.allclose(norms, torch.ones_like(norms)):
        return found, config
    return found | {"encoder.weight": weight * norms[:, None], "encoder.bias": bias * norms, "decoder.weight": decoder / norms}, config


@dataclasses.dataclass(frozen=True)
class _Format:
    """How a library saves: `read` gives the tensors of its weights, `adapt` what `autoencoder_of` takes."""

    read: Callable[[Path], Tensors]
    config: str | None
    needed: tuple[str, ...]
    adapt: Callable[[Tensors, dict[str, Any], str], tuple[Tensors, dict[str, Any]]] = _as_it_is
    needs_config: bool = True


GEMMA_SCOPE = ("W_dec", "W_enc", "b_dec", "b_enc", "threshold")
FORMATS = {
    "sae_weights.safetensors": _Format(_safetensors, "cfg.json", ("W_enc", "W_dec", "b_dec")),
    "sae.safetensors": _Format(_safetensors, "cfg.json", ("b_dec",)),
    "ae.pt": _Format(_weights_of_torch, "config.json", (), _of_dictionary_learning, needs_config=False),
    "params.npz": _Format(_arrays, None, GEMMA_SCOPE, _of_gemma_scope),
    "params.safetensors": _Format(_safetensors, "config.json", tuple(map(str.lower, GEMMA_SCOPE)), _of_gemma_scope, needs_config=False),
}
