"""Matrix products of a network in 8-bit integers, for searches on processors that have instructions for these and none for bfloat16."""

import torch
from torch import Tensor, nn

from optigram.errors import InputError
from optigram.models.base import Model
from optigram.models.network import Network


class _Product(nn.Module):
    """x @ weight.T: the weight has a scale for each row, x one for each token. Without a gradient."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.scale = weight.abs().amax(1).clamp(min=1e-8) / 127
        self.whole = (weight / self.scale[:, None]).round().to(torch.int8).T.contiguous()

    def forward(self, x: Tensor) -> Tensor:
        rows = x.reshape(-1, x.shape[-1])
        scale = rows.abs().amax(1, keepdim=True).clamp(min=1e-8) / 127
        product = torch.ops.aten._int_mm((rows / scale).round().to(torch.int8), self.whole)
        return (product * scale * self.scale).view(*x.shape[:-1], -1)


def in_int8(model: Model, after: int) -> Model:
    """The model, whose products without a bias run in 8-bit integers in the blocks after some number of them; the others stay exact.

    Raises InputError for a model that is no network of modules.
    """
    if not isinstance(model, Network):
        raise InputError(f"expected a network for int8, got {model.name}; use --option dtype=bfloat16")
    lists = (module for module in model.module.modules() if isinstance(module, nn.ModuleList))
    for block in list(max(lists, key=len))[after:]:
        for path, product in list(block.named_modules()):
            if isinstance(product, nn.Linear) and product.bias is None:
                parent, _, name = path.rpartition(".")
                setattr(block.get_submodule(parent), name, _Product(product.weight.detach().float()))
    return model
