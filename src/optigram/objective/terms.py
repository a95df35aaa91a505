"""Strands: a target taken apart into the numbers `weight @ state + bias` that it is made of, and how each is bent."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from optigram.models.base import Model
from optigram.shapes import Float
from optigram.targets.latent import Scaling, SparseAutoencoder
from optigram.targets.target import Direction, Latent, Target, Term, Unit


class Source(NamedTuple):
    """A site that a model is asked to read, and what is done to its states first."""

    site: str
    scaling: Scaling = "none"


@dataclass(frozen=True, eq=False)
class AffineTerm:
    """coefficient * bend(weight @ state + bias), where bend gives 0 up to `threshold`, or softens what nears `cap`.

    `contest` names the autoencoder and the latent that must be among its largest (TopK).
    """

    source: Source
    weight: Float[Tensor, " h"]
    bias: float
    coefficient: float = 1.0
    threshold: float = -torch.inf
    cap: float = torch.inf
    contest: tuple[SparseAutoencoder, int] | None = None

    @property
    def numbers(self) -> tuple[float, float, float, float]:
        """Bias, coefficient, threshold, cap."""
        return self.bias, self.coefficient, self.threshold, self.cap

    @property
    def straight(self) -> bool:
        """Whether the number stays as it is."""
        return self.threshold == -torch.inf and self.cap == torch.inf


def affine_terms(model: Model, target: Target) -> list[AffineTerm]:
    """The strands of a target; all of its linear terms that read one site make one strand, the first."""
    straight: dict[Source, AffineTerm] = {}
    bent: list[AffineTerm] = []
    for term in target.terms:
        strand = _strand(model, term, model.embedding.device)
        if not strand.straight:
            bent.append(strand)
            continue
        old, times = straight.get(strand.source), strand.coefficient
        weight, bias = times * strand.weight, times * strand.bias
        straight[strand.source] = AffineTerm(
            strand.source, weight if old is None else old.weight + weight, bias if old is None else old.bias + bias
        )
    return [*straight.values(), *bent]


def _strand(model: Model, term: Term, device: torch.device) -> AffineTerm:
    site, readout = model.sites[term.site], term.readout
    match readout:
        case Unit(index) if site.linear is not None:
            row, bias = site.linear.weight[index].detach().float().to(device), float(site.linear.bias[index])
            cap = torch.inf if site.linear.softcap is None else site.linear.softcap
            return AffineTerm(Source(site.linear.source), row, bias, term.weight, cap=cap)
        case Unit(index):
            row = torch.zeros(site.width, device=device)
            row[index] = 1
            return AffineTerm(Source(term.site), row, 0.0, term.weight)
        case Direction():
            return AffineTerm(Source(term.site), readout.vector.float().to(device), 0.0, term.weight)
        case Latent(_, index, autoencoder):
            row = autoencoder.encoder[index]
            bias = float(autoencoder.bias[index] - row @ autoencoder.center)
            contest = None if autoencoder.top is None else (autoencoder, index)
            threshold = float(autoencoder.threshold[index])
            return AffineTerm(Source(term.site, autoencoder.scaling), row.to(device), bias, term.weight, threshold, contest=contest)
