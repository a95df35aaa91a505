"""`load`: a model by name, from a folder, or already loaded; `save`: the folder of an Imaginet, which `load` reads.

Such a folder holds `config.json` (sizes, vocabulary, label names, settings, metrics) and `model.safetensors`.
"""

import json
import os
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from optigram.errors import InputError, nearest
from optigram.files import is_file, parse_json, written_whole
from optigram.models.base import Model
from optigram.models.huggingface import open_model, open_tokenizer
from optigram.models.imaginet import Imaginet, Sizes
from optigram.models.objects import imported, wrap_object
from optigram.text.columns import TextColumn

FORMAT = "optigram-imaginet-1"
BUNDLED = "imaginet"
CONFIG, WEIGHTS, CAPTIONS = "config.json", "model.safetensors", "captions.txt.gz"


def bundled() -> Path:
    """The folder of the model that comes with the package."""
    return Path(str(resources.files("optigram.models") / "weights" / BUNDLED))


def load(
    source: Any,
    tokenizer: Any = None,
    *,
    device: str | torch.device | None = None,
    dtype: str | torch.dtype | None = None,
    revision: str | None = None,
    words: Sequence[str] | None = None,
    embedding: str | None = None,
    trust_remote_code: bool = False,
) -> Model:
    """A model whose neurons can be targets. `source` is one of

    - `"imaginet"`, the bundled model, or a folder that `optigram train` wrote;
    - a folder or a GGUF file of transformers, or a Hub id, with a revision as in `"gpt2@607a30d"` or by `revision`;
    - a loaded model of transformers with its `tokenizer`, also within a TransformerLens bridge or an nnsight model;
    - any torch module with an embedding layer (`embedding` names it if there are several), and a `tokenizer` or `words`;
    - an object that is a `Model` already, which is returned unchanged;
    - `"package.module:name"`, the import path of one of these objects, or of a function without arguments that returns one.

    `tokenizer` is one of transformers, or the name or folder of one; `words` is a list of words in id order (v of them).

    A loaded object is left as it was found (device, dtype, training mode, `requires_grad`, hooks) and read where it is: a
    `device` or `dtype` must then be the one that it has. Something opened by name goes to `device`, by default the GPU if there
    is one, in `dtype` ("bfloat16", ...), by default as it was saved. Code that comes with a model is run only with
    `trust_remote_code`; an import path runs the code that it names.

    Raises InputError, in one line, for what is missing, truncated, or of another kind.
    """
    place, kind = None if device is None else device_named(device), _dtype_named(dtype)
    tokenizer = open_tokenizer(str(tokenizer)) if isinstance(tokenizer, str | Path) else tokenizer
    name = str(source) if isinstance(source, str | Path) else None
    found = source if name is None else imported(name)
    if name is not None and found is None:
        return _open(name, tokenizer, place or device_named(None), kind, revision, words, embedding, trust_remote_code)
    _refuse("a loaded model", revision=revision, trust_remote_code=trust_remote_code or None)
    model = wrap_object(found, tokenizer, words, embedding, name)
    _check_place(model, place, kind)
    return model


def load_imaginet(source: str, device: torch.device | str = "cpu") -> Imaginet:
    """The bundled Imaginet, or one from a folder that `optigram train` wrote, frozen. Raises InputError for a torn folder."""
    folder = bundled() if source == BUNDLED else Path(source)
    config = read_config(folder)
    try:
        sizes = Sizes(**config["sizes"])
        words, labels = (_names(config[name], name) for name in ("words", "labels"))
        model = Imaginet(words, labels, sizes, name=source)
        weights = load_file(folder / WEIGHTS)
        model.load_state_dict({name: value.float() for name, value in weights.items()})
    except (OSError, SafetensorError) as error:
        raise InputError(f"cannot read {folder / WEIGHTS}: {error}; the file is missing or truncated, copy or train it again") from error
    except (KeyError, TypeError, ValueError, RuntimeError, OverflowError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{folder} is inconsistent ({reason}); its {WEIGHTS} and {CONFIG} must belong to one model") from error
    return model.to(device).eval().requires_grad_(False)


def _names(listed: Any, what: str) -> tuple[str, ...]:
    if not isinstance(listed, list) or not all(isinstance(name, str) for name in listed):
        raise TypeError(f"expected a list of names as {what}")
    return tuple(map(TextColumn.checked, listed))


def read_config(folder: Path) -> dict[str, Any]:
    """The `config.json` of an Imaginet's folder. Raises InputError for any other."""
    try:
        config = parse_json((folder / CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read {folder / CONFIG}: {error}; expected a folder that `optigram train` wrote") from error
    if not isinstance(config, dict) or config.get("format") != FORMAT:
        raise InputError(f"{folder / CONFIG} is not of an Imaginet (expected format {FORMAT!r}); give a folder that `optigram train` wrote")
    return config


def save(model: Imaginet, folder: Path, about: dict[str, Any], dtype: torch.dtype = torch.float32) -> None:
    """Write weights and config whole. `about` (settings, metrics) is stored in the config beside the vocabulary."""
    state = {name: value.detach().to("cpu", dtype).contiguous() for name, value in model.state_dict().items()}
    with written_whole(folder / WEIGHTS) as path:
        save_file(state, path)
    config = {"format": FORMAT, **model.settings(), **about}
    with written_whole(folder / CONFIG) as path:
        path.write_text(json.dumps(config, ensure_ascii=False), encoding="utf-8")


def device_named(name: str | torch.device | None) -> torch.device:
    """The device of this name, tried; None: the GPU where there is one, else the CPU. Raises InputError if it is not available."""
    if name is None:
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, TypeError) as error:
        raise InputError(f"cannot use device {name!r}: {str(error).splitlines()[0]}; try cpu") from error
    return device


def _open(
    source: str,
    tokenizer: Any,
    device: torch.device,
    dtype: torch.dtype | None,
    revision: str | None,
    words: Sequence[str] | None,
    embedding: str | None,
    trust_remote_code: bool,
) -> Model:
    if source == BUNDLED or _is_imaginet(Path(source)):
        _refuse("an Imaginet", tokenizer=tokenizer, revision=revision, words=words, embedding=embedding)
        if dtype not in (None, torch.float32):
            raise InputError(f"expected dtype float32 for an Imaginet, got {_spelled(dtype)}; leave it out")
        return load_imaginet(source, device)
    _refuse("a model opened by name", embedding=embedding)
    try:
        return open_model(source, tokenizer, device, dtype, revision, words, trust_remote_code)
    except InputError as error:
        meant = nearest(source, [BUNDLED])
        if not meant or os.path.lexists(source):  # False too for a name that no file can have
            raise
        raise InputError(f"{error}{meant}") from error


def _is_imaginet(folder: Path) -> bool:
    """Whether `save` wrote a folder; one with a torn config counts too, so that the message is about that."""
    if not is_file(folder / CONFIG):
        return False
    try:
        config = parse_json((folder / CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return True
    return not isinstance(config, dict) or "model_type" not in config


def _refuse(what: str, **settings: Any) -> None:
    given = [name for name, value in settings.items() if value is not None]
    if given:
        raise InputError(f"expected no {' or '.join(given)} with {what}, got one; leave it out")


def _check_place(model: Model, device: torch.device | None, dtype: torch.dtype | None) -> None:
    """A loaded object is never moved or converted, so what is asked for must be what it has."""
    here, kind = model.embedding.device, getattr(model, "dtype", model.embedding.dtype)
    if device is not None and (device.type != here.type or device.index not in (None, here.index)):
        raise InputError(f"expected device {here}, where the loaded model is, got {device}; move it yourself, or leave device out")
    if dtype not in (None, kind):
        raise InputError(
            f"expected dtype {_spelled(kind)}, which the loaded model has, got {_spelled(dtype)}; convert it yourself, or leave dtype out"
        )


def _dtype_named(name: Any) -> torch.dtype | None:
    kind = getattr(torch, name, None) if isinstance(name, str) else name
    if name is not None and not (isinstance(kind, torch.dtype) and kind.is_floating_point):
        raise InputError(f"unknown dtype {name!r}; expected float32, bfloat16 or float16")
    return kind


def _spelled(dtype: torch.dtype | None) -> str:
    return str(dtype).removeprefix("torch.")
