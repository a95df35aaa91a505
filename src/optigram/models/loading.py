"""`load`: a model by name, by folder, or one already at hand; `save`: the folder of an Imaginet, which `load` reads.

Such a folder holds `config.json` (sizes, vocabulary, label names, settings, metrics) and `model.safetensors`.
"""

import json
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from optigram.errors import InputError
from optigram.files import written_whole
from optigram.models.base import Model
from optigram.models.huggingface import is_pretrained, open_model, wrap_model
from optigram.models.imaginet import Imaginet, Sizes
from optigram.models.network import Network
from optigram.models.torch_module import unwrap, wrap_module

FORMAT = "optigram-imaginet-1"
BUNDLED = "imaginet"
CONFIG, WEIGHTS, CAPTIONS = "config.json", "model.safetensors", "captions.txt.gz"


def bundled() -> Path:
    """The folder of the model that comes with the package."""
    return Path(str(resources.files("optigram.models") / "weights" / BUNDLED))


def load(
    source: Any,
    device: str = "cpu",
    dtype: str | torch.dtype | None = None,
    revision: str | None = None,
    tokenizer: Any = None,
    words: Sequence[str] | None = None,
    embedding: str | None = None,
    trust_remote_code: bool = False,
) -> Model:
    """A model, ready to be asked, and frozen. `source` is one of

    - `"imaginet"`, the bundled model, or a folder that `optigram train` wrote;
    - a folder or a GGUF file of transformers, or a Hub id, with a revision as in `"gpt2@607a30d"` or by `revision`;
    - a loaded model of transformers with its `tokenizer`, also within a TransformerLens bridge or an nnsight model;
    - any torch module with an embedding layer (`embedding` names it if there are several), and a `tokenizer` or `words`.

    `dtype` such as "bfloat16" is that of the weights. Code that comes with a model is run only with `trust_remote_code`.
    Raises InputError for what is missing, truncated, or of another kind.
    """
    place, kind = device_named(device), dtype_named(dtype)
    if isinstance(source, Imaginet | Network):
        return source.eval().requires_grad_(False)
    if not isinstance(source, str | Path):
        module, found = unwrap(source)
        module = module.to(place) if kind is None else module.to(place, kind)
        if is_pretrained(module):
            return wrap_model(module, tokenizer or found)
        return wrap_module(module, tokenizer or found, words, embedding)
    if source == BUNDLED or _is_imaginet(Path(source)):
        return load_imaginet(str(source), place)
    return open_model(str(source), place, kind, revision, trust_remote_code)


def _is_imaginet(folder: Path) -> bool:
    """Whether a folder was written by `save`; one that is torn counts as that too, so that the message tells of it."""
    if not (folder / CONFIG).is_file():
        return False
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return True
    return not isinstance(config, dict) or "model_type" not in config


def load_imaginet(source: str, device: torch.device | str = "cpu") -> Imaginet:
    """The bundled Imaginet, or one from a folder that `optigram train` wrote."""
    folder = bundled() if source == BUNDLED else Path(source)
    config = read_config(folder)
    try:
        sizes = Sizes(**config["sizes"])
        model = Imaginet(tuple(config["words"]), tuple(config["labels"]), sizes, name=source)
        weights = load_file(folder / WEIGHTS)
        model.load_state_dict({name: value.float() for name, value in weights.items()})
    except (OSError, SafetensorError) as error:
        raise InputError(f"cannot read {folder / WEIGHTS}: {error}; the file is missing or cut short, copy or train it again") from error
    except (KeyError, TypeError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{folder} does not fit together ({reason}); its {WEIGHTS} and {CONFIG} must be of one model") from error
    return model.to(device).eval().requires_grad_(False)


def read_config(folder: Path) -> dict[str, Any]:
    """The `config.json` of a model folder."""
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read {folder / CONFIG}: {error}; expected a folder that `optigram train` wrote") from error
    if not isinstance(config, dict) or config.get("format") != FORMAT:
        raise InputError(f"{folder / CONFIG} is not of an Imaginet (expected format {FORMAT!r}); give a folder that `optigram train` wrote")
    return config


def save(model: Imaginet, folder: Path, about: dict[str, Any], dtype: torch.dtype = torch.float32) -> None:
    """Write weights and config whole. `about` (settings, metrics) stands in the config beside the vocabulary."""
    state = {name: value.detach().to("cpu", dtype).contiguous() for name, value in model.state_dict().items()}
    with written_whole(folder / WEIGHTS) as path:
        save_file(state, path)
    config = {"format": FORMAT, **model.settings(), **about}
    with written_whole(folder / CONFIG) as path:
        path.write_text(json.dumps(config, ensure_ascii=False), encoding="utf-8")


def device_named(name: str) -> torch.device:
    """The device of this name, tried; an InputError if it is not to be had."""
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"cannot use device {name!r}: {str(error).splitlines()[0]}; try cpu") from error
    return device


def dtype_named(name: str | torch.dtype | None) -> torch.dtype | None:
    """The floating type of this name, such as "bfloat16"; None stays None."""
    kind = getattr(torch, name, None) if isinstance(name, str) else name
    if name is not None and not (isinstance(kind, torch.dtype) and kind.is_floating_point):
        raise InputError(f"unknown dtype {name!r}; expected float32, bfloat16 or float16")
    return kind
