"""A relaxation on the simplex: theta are the weights of words, projected back after every step (PGD, Geisler et al. 2024)."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from optigram.methods.relaxations import Given, Rows, Start, Table, Theta
from optigram.methods.settings import check_settings
from optigram.objective.rng import Streams
from optigram.objective.scores import SoftText
from optigram.shapes import Float

UNIFORM = Start()
PASSES = 100  # of the projection at most; about ten suffice


@dataclass(frozen=True)
class Simplex:
    """pgd: theta are weights of words [k c t v] of at least 0 that sum to 1; a soft word is theta @ table.

    After step i of `steps`, the weights at a position are pushed apart until their sum of squares has gone the fraction
    `sharpest` * i / steps of the way from that of equal weights to 1 (the paper's projection on the Gini index).
    """

    steps: int
    sharpest: float = 0.5
    begin: Start = UNIFORM

    samples = 1
    mixes = True

    def __post_init__(self) -> None:
        check_settings(self, steps=1, sharpest=0.0)

    def schedule(self, step: int) -> Mapping[str, float]:
        return {}

    def start(self, streams: Streams, length: int, table: Table, given: Given = None) -> Theta:
        return self.begin.logits(streams, length, table.shape[-2], given, lead=math.log(table.shape[-2]) + 2).softmax(dim=-1)

    def soften(self, theta: Theta, table: Table, step: int, streams: Streams) -> SoftText:
        return SoftText(SoftText.mixed(theta, table), theta)

    def harden(self, theta: Theta, table: Table, streams: Streams) -> tuple[Rows, dict[str, Tensor]]:
        return theta.argmax(dim=-1), {}

    def settle(self, theta: Theta, step: int) -> None:
        theta.copy_(_sharpened(_to_simplex(theta), self.sharpest * min(1.0, step / self.steps)))


def _to_simplex(points: Float[Tensor, "*n v"]) -> Float[Tensor, "*n v"]:
    """The nearest points of the simplex (Michelot 1986): words at or below 0 are dropped until no more are."""
    kept = torch.ones_like(points, dtype=torch.bool)
    lowered = points
    for _ in range(PASSES):
        surplus = ((points * kept).sum(-1, keepdim=True) - 1) / kept.sum(-1, keepdim=True)
        lowered = points - surplus
        still = kept & (lowered > 0)
        if torch.equal(still, kept):
            break
        kept = still
    return lowered * kept


def _sharpened(weights: Float[Tensor, "*n v"], sharpness: float) -> Float[Tensor, "*n v"]:
    """Weights on the simplex, pushed away from equal ones until their sum of squares reaches the `sharpness` (0 to 1)."""
    words = (weights > 0).sum(-1, keepdim=True)
    centre = (weights > 0) / words
    away = weights - centre
    radius = (sharpness * (1 - 1 / words)).sqrt()
    length = away.norm(dim=-1, keepdim=True)
    stretched = _to_simplex(centre + away * (radius / length.clamp(min=1e-12)))
    return torch.where((length < radius) & (length > 1e-9), stretched, weights)
