"""The state of a torch module: frozen while it is read and restored afterwards; its weights, wherever they are stored."""

import hashlib
import threading
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from optigram.errors import InputError


class Frozen:
    """A reentrant context in which `module` is in evaluation mode and its parameters want no gradient.

    Only the outermost use changes the module, and restores it on exit, also after an exception or Ctrl-C. Threads may share
    one instance. A module that is frozen already costs one look at its flags.
    """

    def __init__(self, module: nn.Module) -> None:
        self._module = module
        self._parts = list(module.modules())
        # by owner and name: accelerate puts a new parameter in the place of an offloaded one at every forward
        self._owned: list[tuple[dict[str, Any], str]] = [(part._parameters, name) for part in self._parts for name in part._parameters]
        self._offloaded = [part for part in self._parts if _offloads(getattr(part, "_hf_hook", None))]
        self._lock, self._depth = threading.Lock(), 0
        self._training: list[nn.Module] = []
        self._wanting: list[tuple[dict[str, Any], str]] = []

    def __reduce__(self) -> tuple[Any, ...]:
        return Frozen, (self._module,)

    def __enter__(self) -> None:
        with self._lock:
            self._depth += 1
            if self._depth == 1:
                try:
                    self._freeze()
                except BaseException:
                    self._depth -= 1
                    self._restore()
                    raise

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._depth -= 1
            if self._depth == 0:
                self._restore()

    def _freeze(self) -> None:
        self._training = [part for part in self._parts if part.training]
        self._wanting = [(owner, name) for owner, name in self._owned if owner[name] is not None and owner[name].requires_grad]
        for part in self._training:
            part.training = False  # not .eval(), which a module may override and which reaches its children
        for owner, name in self._wanting:
            owner[name].requires_grad_(False)

    def _restore(self) -> None:
        for part in self._offloaded:  # an early stop or an error leaves weights in memory that accelerate had still to drop
            if any(weight is not None and not weight.is_meta for weight in part._parameters.values()):
                part._hf_hook.post_forward(part, None)  # pyright: ignore[reportAttributeAccessIssue, reportCallIssue]
        for part in self._training:
            part.training = True
        for owner, name in self._wanting:
            owner[name].requires_grad_(True)

    @staticmethod
    def weights_fingerprint(module: nn.Module, prefix: str = "") -> str:
        """A hash of all weights [hex], the same for the same numbers on any device; `prefix` goes before each name.

        Raises InputError for weights on the meta device that accelerate cannot fetch: they have no numbers.
        """
        found = hashlib.sha256()
        for name, value in sorted(module.state_dict().items()):
            found.update((prefix + name).encode())
            offloaded = isinstance(value, Tensor) and value.is_meta
            for part in _bytes_of(_fetched(module, name) if offloaded else value):
                found.update(part)
        return found.hexdigest()


def _offloads(hook: Any) -> bool:
    """Whether a hook of accelerate keeps a layer's weights elsewhere between forwards."""
    return bool(getattr(hook, "offload", False)) or any(_offloads(part) for part in getattr(hook, "hooks", ()))


def _fetched(module: nn.Module, name: str) -> Tensor:
    path, _, own = name.rpartition(".")
    part = module.get_submodule(path)
    hook: Any = getattr(part, "_hf_hook", None)
    if not _offloads(hook):
        raise InputError(f"expected weights in memory, got {name} on the meta device, without numbers; load the model's weights first")
    hook.pre_forward(part)
    try:
        return getattr(part, own).detach().clone()
    finally:
        hook.post_forward(part, None)


def _bytes_of(value: Any) -> Iterator[Any]:
    """The bytes of a tensor, and of whatever else a quantised layer puts into its state."""
    if isinstance(value, list | tuple):
        for part in value:
            yield from _bytes_of(part)
    elif not isinstance(value, Tensor):
        yield repr(value).encode()
    elif value.is_quantized:
        yield from _bytes_of(value.detach().dequantize())
    else:  # as bytes, for NumPy knows no bfloat16
        yield value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy()
