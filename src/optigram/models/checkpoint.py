"""Weights from a folder, a file or the Hub: the class that was saved, and every number that is read comes from the checkpoint.

The loading report of transformers is read: what it leaves random is an error that lists it, except heads, which are left out.
"""

import functools
import inspect
import json
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from optigram.errors import InputError

PREFIXES = re.compile(r"^(?:(?:_orig_mod|module|_fsdp_wrapped_module|_forward_module)\.)+")  # torch.compile, DDP, FSDP, DeepSpeed
WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
SHOWN = 5  # keys in a message
# models of text and images: the class of their text tower
TOWERS = {
    "CLIPModel": "CLIPTextModelWithProjection",
    "CLIPForImageClassification": "CLIPTextModelWithProjection",
    "ClapModel": "ClapTextModelWithProjection",
    "SiglipModel": "SiglipTextModel",
    "Siglip2Model": "Siglip2TextModel",
}


def open_checkpoint(library: ModuleType, where: str, config: Any, dtype: torch.dtype | str, settings: Mapping[str, Any]) -> tuple[Any, str]:
    """The model that was saved at `where`, and a remark on a head that the checkpoint lacks, or "".

    `settings` are further arguments of `from_pretrained`. Raises InputError for weights that are missing or of another shape.
    """
    kind = _kind_of(library, config, settings)
    arguments = {**settings, "dtype": dtype, "output_loading_info": True, "ignore_mismatched_sizes": True}
    if kind.__name__.startswith("Auto"):
        arguments["config"] = config
    model, report = kind.from_pretrained(where, **arguments)
    if _lacking(report):
        weights = _saved_weights(library, where, settings)
        if any(PREFIXES.match(key) for key in weights):
            arguments["config"] = model.config
            model, report = kind.from_pretrained(None, **arguments, state_dict={PREFIXES.sub("", key): weights[key] for key in weights})
    return _without_what_is_missing(model, _lacking(report), where)


def _kind_of(library: ModuleType, config: Any, settings: Mapping[str, Any]) -> Any:
    """The class that was saved, where the library has it; else the nearest that opens it, head and all."""
    saved = (config.architectures or [""])[0]
    if settings.get("gguf_file"):
        return library.AutoModelForCausalLM
    own = getattr(config, "auto_map", None) and settings.get("trust_remote_code")
    kind = None if own else getattr(library, TOWERS.get(saved, saved) or "", None)
    if inspect.isclass(kind) and issubclass(kind, library.PreTrainedModel):
        return kind
    ends = {"ForCausalLM": "AutoModelForCausalLM", "LMHeadModel": "AutoModelForCausalLM", "ForMaskedLM": "AutoModelForMaskedLM"}
    ends |= {"ForSequenceClassification": "AutoModelForSequenceClassification", "ForTokenClassification": "AutoModelForTokenClassification"}
    named = next((auto for end, auto in ends.items() if saved.endswith(end)), "AutoModel")
    return getattr(library, named)


def _saved_weights(library: ModuleType, where: str, settings: Mapping[str, Any]) -> dict[str, Tensor]:
    """The weights in the safetensors files of a folder or a Hub id; none if it has others."""
    found = functools.partial(
        library.utils.cached_file, where, revision=settings.get("revision"), _raise_exceptions_for_missing_entries=False
    )
    index = found(INDEX)
    names = [WEIGHTS] if index is None else set(json.loads(Path(index).read_text(encoding="utf-8"))["weight_map"].values())
    files = [file for name in names if (file := found(name)) is not None]
    return {key: value for file in files for key, value in load_file(file).items()}


def _lacking(report: Mapping[str, Any]) -> dict[str, str]:
    """What the checkpoint does not give: each key, with the shapes that do not match."""
    found = dict.fromkeys(sorted(report["missing_keys"]), "missing")
    for entry in report["mismatched_keys"]:  # transformers 4 gives names alone
        key, shapes = (entry, None) if isinstance(entry, str) else (entry[0], entry[1:])
        found[key] = "of another shape" if shapes is None else f"of shape {list(shapes[0])} for {list(shapes[1])}"
    return found


def _without_what_is_missing(model: Any, lacking: Mapping[str, str], where: str) -> tuple[Any, str]:
    """The model without the head or the pooler that the checkpoint lacks. Raises InputError for all else."""
    base, prefix = model.base_model, model.base_model_prefix
    head = [] if base is model else [key for key in lacking if not key.startswith(f"{prefix}.")]
    pooler = [key for key in lacking if "pooler" in key.split(".") and getattr(base, "pooler", None) is not None]
    if "add_pooling_layer" not in inspect.signature(type(base).__init__).parameters:
        pooler = []
    others = [key for key in lacking if key not in {*head, *pooler}]
    if others:
        raise InputError(
            f"expected all weights of {type(model).__name__} in {where!r}, got none that fit for {_listed(others, lacking)}; "
            "numbers in their place would be random: give a complete checkpoint of this architecture"
        )
    if pooler:
        base.pooler = None  # as with add_pooling_layer=False
    if not head:
        return model, ""
    return base, f"{where} has no weights for the head of {type(model).__name__} ({_listed(head, lacking)}), which is left out"


def _listed(keys: Collection[str], lacking: Mapping[str, str]) -> str:
    shown = [key if lacking[key] == "missing" else f"{key} ({lacking[key]})" for key in list(keys)[:SHOWN]]
    return ", ".join(shown) + (f" and {len(keys) - SHOWN} more" if len(keys) > SHOWN else "")
