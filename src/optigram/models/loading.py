"""`load`: a model by name, by folder, or one already at hand; `save`: a folder that `load` reads.

A folder holds `config.json` (sizes, vocabulary, label names, settings, metrics) and `model.safetensors`.
"""

import json
from importlib import resources
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from optigram.errors import InputError
from optigram.files import written_whole
from optigram.models.imaginet import Imaginet, Sizes

FORMAT = "optigram-imaginet-1"
BUNDLED = "imaginet"
CONFIG, WEIGHTS, CAPTIONS = "config.json", "model.safetensors", "captions.txt.gz"


def bundled() -> Path:
    """The folder of the model that comes with the package."""
    return Path(str(resources.files("optigram.models") / "weights" / BUNDLED))


def load(source: str | Imaginet, device: str = "cpu") -> Imaginet:
    """The bundled model (`"imaginet"`), or one from a folder that `optigram train` wrote; ready to be asked, frozen.

    Raises InputError for a folder that is missing, truncated, or of another kind.
    """
    if isinstance(source, Imaginet):
        return source.eval().requires_grad_(False)
    folder = bundled() if source == BUNDLED else Path(source)
    if not folder.is_dir():
        raise InputError(f"unknown model {source!r}; expected {BUNDLED!r} or a folder with {CONFIG} and {WEIGHTS}")
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
    return model.to(device_named(device)).eval().requires_grad_(False)


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
