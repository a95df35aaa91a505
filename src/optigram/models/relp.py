"""RelP's rules for backward passes (Jafari et al. 2025, arXiv:2508.21258): a network's non-linear parts count as linear.

The values of a forward are unchanged; only gradients differ. The scale of a norm, the quotient f(x) / x of an activation function and
the pattern of an attention are constants to the gradient, and of the two factors of a gated MLP each gets half of it. What is then
left of the network is linear in its input, so the gradient says what a word contributes, also where the network itself is flat.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

SMALL = 1e-6  # inputs of an activation function so near to 0 count as this, which keeps the sign of the quotient


@contextlib.contextmanager
def relp_rules(module: nn.Module, products: Sequence[str] = ()) -> Iterator[None]:
    """Within this, gradients through `module` follow the rules. `products` are the paths of the parts that read a gated product."""
    with contextlib.ExitStack() as stack:
        for part in module.modules():
            if _is_activation(part):
                stack.callback(part.register_forward_hook(_quotient_hook).remove)
        for path in products:
            stack.callback(module.get_submodule(path).register_forward_pre_hook(_halving_hook).remove)
        stack.enter_context(_Rules())
        yield


class _Rules(TorchFunctionMode):
    """Replaces the functions that networks are written with; modules that compute an activation in several steps have a hook."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        rule = RULES.get(func)
        named = kwargs or {}
        return func(*args, **named) if rule is None else rule(func, *args, **named)


def _attention(func: Callable[..., Tensor], query: Tensor, key: Tensor, value: Tensor, *args: Any, **named: Any) -> Tensor:
    return func(query.detach(), key.detach(), value, *args, **named)


def _constant(func: Callable[..., Tensor], *args: Any, **named: Any) -> Tensor:
    """A softmax's pattern, or the scale that an RMSNorm multiplies by."""
    return func(*args, **named).detach()


def _layer_norm(func: Callable[..., Tensor], x: Tensor, shape: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Tensor:
    value = func(x, shape, weight, bias, eps)
    axes = tuple(range(-len(shape), 0))
    variance = x.detach().float().var(axes, unbiased=False, keepdim=True)
    linear = (x - x.mean(axes, keepdim=True)) * torch.rsqrt(variance + eps).to(x.dtype)
    return _with_gradient(value, linear if weight is None else linear * weight)


def _rms_norm(func: Callable[..., Tensor], x: Tensor, shape: Any, weight: Any = None, eps: float | None = None) -> Tensor:
    value = func(x, shape, weight, eps)
    square = x.detach().float().square().mean(tuple(range(-len(shape), 0)), keepdim=True)
    linear = x * torch.rsqrt(square + (torch.finfo(x.dtype).eps if eps is None else eps)).to(x.dtype)
    return _with_gradient(value, linear if weight is None else linear * weight)


def _activation(func: Callable[..., Tensor], x: Tensor, *args: Any, **named: Any) -> Tensor:
    named.pop("inplace", None)
    return _scaled(x, func(x, *args, **named))


def _scaled(x: Tensor, value: Tensor) -> Tensor:
    """The value, as x times a constant."""
    near = torch.where(x < 0, -SMALL, SMALL).to(x.dtype)
    whole = x.detach()
    return _with_gradient(value, x * (value.detach() / torch.where(whole.abs() < SMALL, near, whole)))


def _with_gradient(value: Tensor, other: Tensor) -> Tensor:
    return value.detach() + (other - other.detach())


def _is_activation(part: nn.Module) -> bool:
    """Whether a module is an activation function that goes through 0: it has nothing in it, and its name says so."""
    name = type(part).__name__.lower()
    return not any(True for _ in part.children()) and any(known in name for known in ("gelu", "silu", "swish"))


def _quotient_hook(part: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> Tensor:
    return _scaled(args[0], output)


def _halving_hook(part: nn.Module, args: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    product, *others = args
    return _with_gradient(product, product / 2), *others


RULES: dict[Any, Callable[..., Tensor]] = {
    functional.scaled_dot_product_attention: _attention,
    functional.softmax: _constant,
    torch.softmax: _constant,
    Tensor.softmax: _constant,
    torch.rsqrt: _constant,
    Tensor.rsqrt: _constant,
    functional.layer_norm: _layer_norm,
    functional.rms_norm: _rms_norm,
    functional.gelu: _activation,
    functional.silu: _activation,
}
