"""GGUF files, by way of transformers: a file is parsed once, and kept as safetensors in the cache, where its hash finds it again.

transformers alone parses a file for the config, again for the tokenizer and again for the weights, at each load.
"""

import contextlib
import functools
import hashlib
import importlib
import os
import threading
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

import numpy as np
import torch

from optigram.errors import InputError
from optigram.files import FolderCache
from optigram.models.checkpoint import open_checkpoint

CACHE = FolderCache("gguf", 8 << 30)
PACKAGES = "gguf", "transformers"  # what the converted numbers depend on
_patching = threading.Lock()


def read_gguf(library: ModuleType, file: Path, dtype: torch.dtype | None) -> tuple[Any, Callable[[], Any]]:
    """The causal model of a GGUF file, in float32 or in `dtype`, and what opens its tokenizer.

    Both are read from the cache, where they are put if they are not there. A model too large for the cache is converted at each load,
    and so is every model if the cache cannot be written. Raises what transformers raises.
    """
    kind, dtype = library.AutoModelForCausalLM, dtype or torch.float32
    with file.open("rb") as opened:
        key = hashlib.file_digest(opened, "sha256")
    key.update(" ".join(f"{name} {version(name)}" for name in PACKAGES).encode())
    folder = CACHE.find(key.hexdigest())
    if folder is None:
        with _parsed_once() as reader:
            size = 4 * sum(int(tensor.n_elements) for tensor in reader(str(file)).tensors)
            model, tokenizer = _converted(library, file, torch.float32 if size <= CACHE.room else dtype)
        folder = CACHE.keep(key.hexdigest(), size, functools.partial(_write, model, tokenizer))
        if folder is None:
            return model.to(dtype), functools.partial(_required, tokenizer)
        del model
    tokenizer = functools.partial(library.AutoTokenizer.from_pretrained, str(folder))
    return kind.from_pretrained(str(folder), dtype=dtype), tokenizer


def _converted(library: ModuleType, file: Path, dtype: torch.dtype) -> tuple[Any, Any]:
    """The model, and its tokenizer, or the error that prevents it: some kinds cannot be converted, and another may be given."""
    folder, named = str(file.parent), {"gguf_file": file.name}
    config = library.AutoConfig.from_pretrained(folder, **named)
    try:
        tokenizer = library.AutoTokenizer.from_pretrained(folder, **named)
    except Exception as error:
        tokenizer = error
    # transformers 5 leaves the weights of some architectures packed, where they have no gradient, unless asked
    plain = {"quantization_config": library.GgufConfig(dequantize=True)} if hasattr(library, "GgufConfig") else {}
    model, lacks = open_checkpoint(library, folder, config, dtype, named | plain)
    if lacks:
        raise InputError(f"{lacks}; give a complete GGUF file")
    return model, tokenizer


def _required(tokenizer: Any) -> Any:
    if isinstance(tokenizer, Exception):
        raise tokenizer
    return tokenizer


def _write(model: Any, tokenizer: Any, folder: Path) -> None:
    model.save_pretrained(str(folder))
    if not isinstance(tokenizer, Exception):
        tokenizer.save_pretrained(str(folder))


@contextlib.contextmanager
def _parsed_once() -> Iterator[Any]:
    """Within the block, each file is parsed once, however often transformers asks for it; given is what opens a file."""
    gguf = importlib.import_module("gguf")

    class Reader(gguf.GGUFReader):
        """A reader whose `data` is an array and not a memory map: most of a parse is the making of a million small views."""

        @property
        def data(self) -> Any:
            return self._data

        @data.setter
        def data(self, data: Any) -> None:
            self._data = data.view(np.ndarray)

    opened = functools.cache(Reader)
    shared = {
        "GGUFReader": lambda path, *_: opened(os.path.realpath(path)),
        "get_tensor_name_map": functools.cache(gguf.get_tensor_name_map),  # transformers computes it for each module of the network
    }
    with _patching, mock.patch.multiple(gguf, **shared):
        yield shared["GGUFReader"]
