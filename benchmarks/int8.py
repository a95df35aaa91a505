"""Matrix products of a network in 8-bit integers, for searches on processors that have instructions for these and none for bfloat16."""

import torch
from torch import Tensor, nn

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
        product = torch._int_mm((rows / scale).round().to(torch.int8), self.whole)
        return (product * scale * self.scale).view(*x.shape[:-1], -1)


def in_int8(model: Network, after: int) -> Network:
    """The model, whose products without a bias run in 8-bit integers in the blocks after some number of them; the others stay exact."""
    lists = (module for module in model.module.modules() if isinstance(module, nn.ModuleList))
    for block in list(max(lists, key=len))[after:]:
        for path, product in list(block.named_modules()):
            if isinstance(product, nn.Linear) and product.bias is None:
                parent, _, name = path.rpartition(".")
                setattr(block.get_submodule(parent), name, _Product(product.weight.detach().float()))
    return model
