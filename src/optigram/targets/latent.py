"""Sparse autoencoders: their latents as functions of a model's states, and how well they fit the states.

A latent is weight @ (state - center) + bias, or 0 where that is not above its threshold (ReLU, JumpReLU) or not among the `top`
largest of all latents (TopK). `before` is the pre-activation: the number before the threshold.
"""

import dataclasses
import functools
import hashlib
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from optigram.shapes import Float

Scaling = Literal["none", "constant_norm", "layer_norm"]
POOR = 0.5  # an autoencoder that leaves a larger share of the variance unexplained is at the wrong site


@dataclass(frozen=True, eq=False)
class SparseAutoencoder:
    """`encoder` [n h], `bias` [n], `center` [h], `threshold` [n]; `top` is the k of TopK; `scaling` is applied to states first.

    `decoder` [n h] and `decoder_bias` [h] are None if they were not saved; `made_for` is the site that its config names. `name` is the
    path it was read from, or a hash of its weights.
    """

    name: str
    encoder: Float[Tensor, "n h"]
    bias: Float[Tensor, " n"]
    center: Float[Tensor, " h"]
    threshold: Float[Tensor, " n"]
    top: int | None = None
    scaling: Scaling = "none"
    decoder: Float[Tensor, "n h"] | None = None
    decoder_bias: Float[Tensor, " h"] | None = None
    made_for: str | None = None

    @functools.cached_property
    def digest(self) -> str:
        """A short hash of all that the latents depend on."""
        found = hashlib.sha256(repr((self.top, self.scaling, tuple(self.encoder.shape))).encode())
        for part in (self.encoder, self.bias, self.center, self.threshold):
            found.update(part.cpu().numpy().tobytes())
        return found.hexdigest()[:12]

    def before(self, states: Float[Tensor, "... h"]) -> Float[Tensor, "... n"]:
        """The pre-activations of all latents, for states that are `scaled` already."""
        return (states - self.center) @ self.encoder.T + self.bias

    def latents(self, states: Float[Tensor, "... h"]) -> Float[Tensor, "... n"]:
        """All latents, for states that are `scaled` already."""
        before = self.before(states)
        on = before > self.threshold
        if self.top is not None:
            on &= before >= before.topk(self.top, dim=-1).values[..., -1:]
        return torch.where(on, before, 0)

    def to(self, device: torch.device) -> "SparseAutoencoder":
        """The same autoencoder on another device."""
        moved = {name: value.to(device) for name, value in vars(self).items() if isinstance(value, Tensor)}
        return dataclasses.replace(self, **moved)

    def fit(self, states: Float[Tensor, "n h"]) -> "Fit":
        """Unexplained variance (in the autoencoder's own scale; None without a decoder) and mean number of latents that are on."""
        states = scaled(states.float(), self.scaling)
        latents = self.latents(states)
        active = float((latents > 0).sum(-1).float().mean())
        if self.decoder is None:
            return Fit(None, active)
        rebuilt = latents @ self.decoder
        if self.decoder_bias is not None:
            rebuilt = rebuilt + self.decoder_bias
        return Fit(float((states - rebuilt).square().sum() / (states - states.mean(0)).square().sum()), active)


class Fit(NamedTuple):
    """How well an autoencoder fits the states it was given: unexplained variance, latents that are on per position."""

    unexplained: float | None
    active: float

    @property
    def poor(self) -> bool:
        """Whether it seems to be at the wrong site."""
        return self.active == 0 or (self.unexplained is not None and not self.unexplained < POOR)


def scaled(states: Float[Tensor, "... h"], scaling: Scaling) -> Float[Tensor, "... h"]:
    """States as an autoencoder of this scaling reads them: constant_norm scales to norm sqrt(h), layer_norm to mean 0, deviation 1."""
    match scaling:
        case "none":
            return states
        case "constant_norm":
            return states * (states.shape[-1] ** 0.5 / states.norm(dim=-1, keepdim=True))
        case "layer_norm":
            centered = states - states.mean(dim=-1, keepdim=True)
            return centered / (centered.std(dim=-1, keepdim=True) + 1e-5)
