"""Vectors and matrices in float32, of whatever real type they come."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from optigram.errors import InputError


def as_float32(value: Any, what: str, copy: bool = True) -> Tensor:
    """A tensor, array or list as dense float32 on the CPU, copied even if it is that. Raises InputError unless its numbers are finite."""
    try:
        found = value.detach().cpu() if isinstance(value, Tensor) else torch.from_numpy(_array(value))
        if found.is_complex():
            raise TypeError("complex numbers")
        found = (found.dequantize() if found.is_quantized else found).to_dense().to(torch.float32, copy=copy).contiguous()
    except (TypeError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:120]
        raise InputError(f"expected {what} of real numbers, got {_kind(value)}: {reason}; convert it to float32") from error
    wrong = int((~found.isfinite()).sum())
    if wrong:
        raise InputError(f"expected {what} that is finite in float32; look for NaN and infinity in it: {wrong} of {found.numel()} numbers")
    return found


def _array(value: Any) -> np.ndarray:
    """Numbers as a float32 array; NumPy alone knows their type. Raises TypeError for what is no number."""
    found = np.asarray(value)
    if found.dtype.kind not in "biufV":  # V: the types of other packages, such as bfloat16
        raise TypeError("complex numbers" if found.dtype.kind == "c" else f"numbers of the type {found.dtype}")
    with np.errstate(over="ignore", invalid="ignore"):  # what overflows is infinite, and refused as such
        return found.astype(np.float32)


def _kind(value: Any) -> str:
    return f"{type(value).__name__} of {value.dtype}" if isinstance(value, Tensor | np.ndarray) else type(value).__name__
