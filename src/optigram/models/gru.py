"""The recurrence of a GRU in torch's form, with a gradient for the inputs only, and for each text the same bits in any batch."""

from typing import Any

import torch
from torch import Tensor

from optigram.models.products import rows_times, transposed
from optigram.shapes import Float, unchecked

LANES, TOGETHER = 32, 8  # numbers that a processor takes at once; texts that make a multiple of them


def gru_states(
    embeds: Float[Tensor, "s b d"], weight: Float[Tensor, "w d"], recurrent: Float[Tensor, "w h"], *biases: Float[Tensor, " w"]
) -> Float[Tensor, "s b h"]:
    """States after each position, from a zero state; the weights and biases are those of `torch.nn.GRU`, w is 3h.

    On a GPU they are the library's, in a few kernels instead of hundreds, and differ with the number of texts by rounding.
    """
    if embeds.device.type == "cuda":
        return _library_states(embeds, weight, recurrent, *biases)
    return _States.apply(embeds, weight, recurrent, *biases)  # pyright: ignore[reportReturnType]


def gru_step(
    inputs: Float[Tensor, "b w"], turned: Float[Tensor, "h w"], bias: Float[Tensor, " w"], state: Float[Tensor, "b h"] | None
) -> Float[Tensor, "b h"]:
    """The next state, without a gradient, from the input's part of all gates; no state is one of zeros.

    `turned` is the transposed recurrent weight.

    Of widths that are multiples of 8, a text's state is independent of the number of texts.
    """
    count, first = len(inputs), state is None
    state = inputs.new_zeros(count, len(turned)) if state is None else state
    if state.numel() % LANES:  # what is left over of an operation on whole vectors is rounded otherwise
        inputs, state = (torch.nn.functional.pad(part, (0, 0, 0, -count % TOGETHER)) for part in (inputs, state))
    return _step(inputs, turned, bias, state, first)[0][:count]


def _library_states(embeds: Tensor, *weights: Tensor) -> Tensor:
    first = embeds.new_zeros(1, embeds.shape[1], weights[1].shape[1])
    with torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False):
        climbs = torch.is_grad_enabled() and embeds.requires_grad  # the library keeps what a gradient needs in training only
        return torch.gru(embeds.contiguous(), first, weights, True, 1, 0.0, climbs, False, False)[0]


@unchecked
def _step(inputs: Tensor, turned: Tensor, bias: Tensor, state: Tensor, first: bool) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The next state, and what its gradient needs: reset and update gates, the candidate, the state's part of it."""
    h = turned.shape[0]
    gates = bias.expand_as(inputs) if first else rows_times(state, turned).add_(bias)
    of_mixed, own = inputs.split_with_sizes([2 * h, h], 1)  # `split` is Python, and takes three times as long
    also_mixed, part = gates.split_with_sizes([2 * h, h], 1)
    mixed = (of_mixed + also_mixed).sigmoid_()
    reset, update = mixed.split_with_sizes([h, h], 1)
    candidate = (reset * part).add_(own).tanh_()  # `addcmul` rounds the last few numbers otherwise
    return (state - candidate).mul_(update).add_(candidate), mixed, candidate, part


class _States(torch.autograd.Function):
    @staticmethod
    def forward(ctx, embeds: Tensor, weight: Tensor, recurrent: Tensor, bias: Tensor, own: Tensor):
        s, b, d = embeds.shape
        inputs = rows_times(embeds.reshape(s * b, d), transposed(weight)).add_(bias).view(s, b, -1)
        state, turned, kept = inputs.new_zeros(b, recurrent.shape[1]), transposed(recurrent), []
        for place, one in enumerate(inputs):
            after, *parts = _step(one, turned, own, state, first=place == 0)
            kept += [state, *parts]
            state = after
        ctx.save_for_backward(weight, recurrent, *kept)
        return torch.stack([*kept[4::4], state])

    @staticmethod
    def backward(ctx, *slopes: Any):
        weight, recurrent, *kept = ctx.saved_tensors
        h, found = recurrent.shape[1], []
        back: Tensor | None = None
        for place, slope in reversed(list(enumerate(slopes[0]))):
            state, mixed, candidate, part = kept[4 * place : 4 * place + 4]
            slope = slope if back is None else slope + back
            reset, update = mixed.split_with_sizes([h, h], 1)
            of_candidate = torch.ops.aten.tanh_backward(slope - slope * update, candidate)
            of_mixed = torch.cat([of_candidate * part, slope * (state - candidate)], dim=1)
            of_mixed = torch.ops.aten.sigmoid_backward(of_mixed, mixed)
            found.append(torch.cat([of_mixed, of_candidate], dim=1))
            if place:
                of_gates = torch.cat([of_mixed, of_candidate * reset], dim=1)
                back = torch.addcmul(rows_times(of_gates, recurrent), slope, update)
        of_inputs = torch.cat(found[::-1])
        return rows_times(of_inputs, weight).view(len(found), -1, weight.shape[1]), None, None, None, None
