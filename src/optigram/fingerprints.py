"""Fingerprints: what tells one model, corpus or environment from another, so that numbers of two are never mixed."""

import hashlib
import platform
from collections.abc import Iterable
from importlib.metadata import version

import torch
from torch import nn


def versions() -> dict[str, str]:
    """Versions of all that numbers hang on."""
    return {name: version(name) for name in ("optigram", "torch", "numpy")} | {"python": platform.python_version()}


def model_fingerprint(model: object) -> str:
    """A hash of all weights, the same for the same numbers wherever they are stored."""
    assert isinstance(model, nn.Module)
    found = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        found.update(name.encode())
        found.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())  # numpy knows no bfloat16
    return found.hexdigest()


def text_fingerprint(texts: Iterable[str]) -> str:
    """A hash of sentences in their order."""
    found = hashlib.sha256()
    for text in texts:
        found.update(text.encode() + b"\n")
    return found.hexdigest()
