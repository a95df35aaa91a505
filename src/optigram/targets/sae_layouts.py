"""Layouts of sparse autoencoders: from the tensors and the configuration of a library to what makes a latent.

Gated latents are JumpReLU's: the gate `u + b_gate > 0` and the magnitude `exp(r) u + b_mag`, where u is the encoder's product, are one
pre-activation and the threshold `b_mag - exp(r) b_gate`. BatchTopK and Matryoshka have one learned threshold for all latents.
"""

from typing import Any

import torch
from torch import Tensor

from optigram.errors import InputError
from optigram.targets.float32 import as_float32
from optigram.targets.latent import Scaling, SparseAutoencoder
from optigram.targets.sae_config import SaeConfig

Tensors = dict[str, Tensor]

PLAIN = ("encoder", "bias", "center", "threshold", "decoder", "decoder_bias", "k")
SCALINGS: dict[str | None, Scaling] = {
    None: "none",
    "none": "none",
    "expected_average_only_in": "none",  # SAELens folds it into the weights when training ends
    "constant_norm_rescale": "constant_norm",
    "layer_norm": "layer_norm",
}
SHORTEST = 1e-8  # of a decoder, so that one of zeros stays so
TRANSCODERS = ("transcoder", "skip_transcoder", "jumprelu_transcoder", "jumprelu_skip_transcoder")
TRAINED = ("batchtopk", "matryoshka_batchtopk")  # as SAELens saves them while they are trained
KINDS = ("standard", "gated", "jumprelu", "topk", *TRAINED, *TRANSCODERS)


def autoencoder_of(found: Tensors, config: dict[str, Any], source: str) -> SparseAutoencoder:
    """The autoencoder that tensors with the names of a library, or of plain files, stand for. Decoders may be missing.

    SAELens: W_enc, with `cfg.json`. Sparsify: encoder.weight, and W_dec if any. dictionary_learning: encoder.weight and decoder.weight,
    or W_enc where `config` names its class (trainer.dict_class). Plain: encoder. Raises InputError.
    """
    settings = SaeConfig(config, source)
    if "decoder.weight" in found or "group_sizes" in found or settings.inner("trainer").text("dict_class"):
        layout = _dictionary_learning
    else:
        layout = _saelens if "W_enc" in found else _sparsify if "encoder.weight" in found else _plain
    return layout(found, settings, source)


def _saelens(found: Tensors, config: SaeConfig, source: str) -> SparseAutoencoder:
    kind, norm = _saelens_kind(found, config, source), config.value("normalize_activations")
    if isinstance(norm, bool):  # before version 3
        norm = "expected_average_only_in" if norm else "none"
    if not isinstance(norm, str | None) or norm not in SCALINGS:
        raise InputError(f"{source} normalises its input by {norm!r:.40}; expected one of {', '.join(filter(None, SCALINGS))}")
    length = _lengths(found, config, kind, source)
    parts = _jump(_encoder(found, source), source, length)
    if kind not in TRANSCODERS:
        parts |= {name: found[key] for name, key in (("decoder", "W_dec"), ("decoder_bias", "b_dec")) if key in found}
        if length is not None:
            parts["decoder"] = as_float32(parts["decoder"], f"W_dec of {source}") / length.clamp(min=SHORTEST)[:, None]
        if config.flag("apply_b_dec_to_input", True) and "b_dec" in found:
            parts["center"] = found["b_dec"]
    top = config.count("k") or config.inner("activation_fn_kwargs").count("k") if kind == "topk" else None
    if kind == "topk" and top is None:
        raise InputError(f"{source} is of the kind topk, but its cfg.json does not say k")
    place = config.inner("metadata").text("hook_name") or config.text("hook_name") or config.text("hook_point")
    return _checked(source, parts, top, SCALINGS[norm], place)


def _saelens_kind(found: Tensors, config: SaeConfig, source: str) -> str:
    """Which function makes latents of an autoencoder; where no architecture is named, the weights tell."""
    asked, activation = config.text("architecture"), config.text("activation_fn_str") or config.text("activation_fn") or "relu"
    threshold, gate = any("threshold" in name for name in found), "b_gate" in found
    kind = asked or ("gated" if gate else "jumprelu" if threshold else "standard")
    if kind == "jump_relu":
        kind = "jumprelu"
    if kind == "standard" and (activation == "topk" or (asked is None and config.value("k") is not None)):
        kind = "topk"
    if kind not in KINDS or activation not in ("relu", "topk"):
        raise InputError(f"{source} is of the kind {kind:.40} ({activation:.40}); expected {', '.join(KINDS)}")
    if (threshold and kind in ("standard", "gated", "topk", "transcoder", "skip_transcoder")) or gate != (kind == "gated"):
        raise InputError(f"{source} is of the kind {kind}, but holds {SaeConfig.shown(sorted(found))}; name its architecture in cfg.json")
    return kind


def _encoder(found: Tensors, source: str) -> Tensors:
    """Encoder [n h], biases and thresholds, by the names of `_jump`."""
    parts = {"encoder": _matrix(found, "W_enc", source).T}
    for key, name in (("b_enc", "bias"), ("b_gate", "gate"), ("b_mag", "bias"), ("r_mag", "log_scale"), ("threshold", "threshold")):
        if key in found:
            parts[name] = found[key]
    if "topk_threshold" in found:
        parts["threshold"] = found["topk_threshold"]
    if "log_threshold" in found:
        parts["threshold"] = as_float32(found["log_threshold"], f"log_threshold of {source}").exp()
    return parts


def _lengths(found: Tensors, config: SaeConfig, kind: str, source: str) -> Tensor | None:
    """The lengths [n] of what latents write, where latents are as large as that."""
    if kind in ("jumprelu", "jumprelu_transcoder", "jumprelu_skip_transcoder") and "log_threshold" not in found:
        _named(found, "threshold", source)
    if kind in TRAINED:
        _named(found, "topk_threshold", source)
    if kind not in ("topk", *TRAINED) or not config.flag("rescale_acts_by_decoder_norm", False):
        return None
    return as_float32(_matrix(found, "W_dec", source), f"W_dec of {source}").norm(dim=-1)


def _jump(parts: Tensors, source: str, length: Tensor | None = None) -> Tensors:
    """Encoder, bias and threshold: times `length`, with gates made thresholds, and one threshold for all latents spread out."""
    gated = "gate" in parts or "log_scale" in parts
    for name in ("bias", "gate", "log_scale") if gated else ("bias",):
        if name not in parts:
            raise InputError(f"{source} has an encoder without its {name.replace('_', ' ')}; expected the tensors of one autoencoder")
    if not gated and length is None:
        return parts | ({"threshold": _threshold(parts, source)} if "threshold" in parts else {})
    encoder, bias = (as_float32(parts[name], f"the {name} of {source}") for name in ("encoder", "bias"))
    rows = [as_float32(parts[name], f"the {name} of {source}") for name in ("gate", "log_scale")] if gated else []
    for row in (bias, *rows, *([] if length is None else [length])):
        if row.shape != encoder.shape[:1]:
            raise InputError(f"{source} has {list(row.shape)} numbers for {len(encoder)} latents; expected one for each")
    if gated:
        gate, scale = rows[0], rows[1].exp()
        return {"encoder": encoder * scale[:, None], "bias": bias, "threshold": (bias - scale * gate).clamp(min=0)}
    assert length is not None
    threshold = {"threshold": _threshold(parts, source)} if "threshold" in parts else {}
    return {"encoder": encoder * length[:, None], "bias": bias * length} | threshold


def _threshold(parts: Tensors, source: str) -> Tensor:
    """A threshold [n], at least 0."""
    threshold = as_float32(parts["threshold"], f"the threshold of {source}").clamp(min=0)
    return threshold.expand(len(parts["encoder"])).clone() if threshold.ndim == 0 else threshold


def _dictionary_learning(found: Tensors, config: SaeConfig, source: str) -> SparseAutoencoder:
    trainer = config.inner("trainer")
    name, top = trainer.text("dict_class"), None
    one = found.get("threshold")
    if "W_enc" in found:
        parts = _encoder(found, source)
        centered = "group_sizes" in found or config.flag("apply_b_dec_to_input", False)
        center, decoder = "b_dec" if centered else None, found.get("W_dec")
    else:
        parts = {"encoder": _matrix(found, "encoder.weight", source)}
        parts |= {part: found[key] for part, key in (("bias", "encoder.bias"), ("bias", "mag_bias")) if key in found}
        parts |= {part: found[key] for part, key in (("gate", "gate_bias"), ("log_scale", "r_mag")) if key in found}
        center = next((key for key in ("bias", "b_dec", "decoder_bias") if key in found), None)
        decoder = found["decoder.weight"].T if "decoder.weight" in found and found["decoder.weight"].ndim == 2 else None
        if one is not None:  # one class keeps the k largest, the other what is above its threshold, with the same tensors
            if name not in ("AutoEncoderTopK", "BatchTopKSAE"):
                raise InputError(f"{source} may be TopK or BatchTopK; expected its class as trainer.dict_class in config.json, got {name}")
            top = _one_count(found, trainer, source) if name == "AutoEncoderTopK" else None
            parts |= {} if top else {"threshold": one}
    parts = _jump(parts, source)
    bias = next((found[key] for key in (center, "decoder.bias", "b_dec") if key in found), None)
    parts |= {part: value for part, value in (("decoder", decoder), ("decoder_bias", bias)) if value is not None}
    parts |= {} if center is None else {"center": _named(found, center, source)}
    return _checked(source, parts, top, "none", trainer.text("submodule_name"))


def _one_count(found: Tensors, trainer: SaeConfig, source: str) -> int:
    said = trainer.count("k")
    top = said if "k" not in found else SaeConfig({"k": found["k"]}, source).count("k")
    if top is None or (said is not None and said != top):
        raise InputError(f"{source} keeps {top} latents by its weights and {said} by its config.json; expected one k")
    return top


def _sparsify(found: Tensors, config: SaeConfig, source: str) -> SparseAutoencoder:
    kind = config.text("activation") or "topk"
    if kind != "topk" or config.flag("signed", False):
        raise InputError(f"{source} is of the kind {'signed' if kind == 'topk' else kind:.40}; expected topk")
    top = config.count("k")
    if top is None:
        raise InputError(f"{source} does not say k in its cfg.json")
    parts = {"encoder": _matrix(found, "encoder.weight", source), "bias": _named(found, "encoder.bias", source)}
    if not config.flag("transcode", False):
        keys = (("center", "b_dec"), ("decoder_bias", "b_dec"), ("decoder", "W_dec"))
        parts |= {name: found[key] for name, key in keys if key in found}
    return _checked(source, parts, top)


def _plain(found: Tensors, config: SaeConfig, source: str) -> SparseAutoencoder:
    _matrix(found, "encoder", source)
    held = {"k": found["k"]} if "k" in found else {"k": config.value("top")}
    scaling = config.text("scaling") or "none"
    if scaling not in ("none", "constant_norm", "layer_norm"):
        raise InputError(f"{source} scales its input by {scaling!r:.40}; expected none, constant_norm or layer_norm")
    parts = {name: value for name, value in found.items() if name in PLAIN and name != "k"}
    return _checked(source, parts, SaeConfig(held, source).count("k"), scaling, config.text("made_for"))


def _named(found: Tensors, name: str, source: str) -> Tensor:
    if name not in found:
        raise InputError(f"{source} has no tensor {name!r}; it holds {SaeConfig.shown(found)}")
    return found[name]


def _matrix(found: Tensors, name: str, source: str) -> Tensor:
    matrix = _named(found, name, source)
    if matrix.ndim != 2 or not matrix.numel():
        raise InputError(f"{name} of {source} has the shape {list(matrix.shape)}; expected latents x width")
    return matrix


def _checked(
    source: str, parts: Tensors, top: int | None = None, scaling: Scaling = "none", made_for: str | None = None
) -> SparseAutoencoder:
    """The autoencoder of these parts, in float32, if their shapes fit together."""
    n, h = parts["encoder"].shape
    shapes = {"encoder": (n, h), "bias": (n,), "center": (h,), "threshold": (n,), "decoder": (n, h), "decoder_bias": (h,)}
    for name, value in parts.items():
        if value.shape != shapes[name]:
            raise InputError(f"{name} of {source} has the shape {list(value.shape)}; expected {list(shapes[name])}, as its encoder has")
    if top is not None and top > n:
        raise InputError(f"{source} keeps the {top} largest of {n} latents; expected from 1 to {n}")
    whole = {name: torch.zeros(shapes[name]) for name in ("bias", "center", "threshold")}
    whole |= {name: as_float32(value, f"the {name} of {source}", copy=False) for name, value in parts.items()}
    return SparseAutoencoder(source, **whole, top=top, scaling=scaling, made_for=made_for)
