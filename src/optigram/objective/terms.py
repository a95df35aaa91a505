"""Affine terms: a target as a sum of numbers `weight @ state + bias`, each passed through a threshold or a soft cap."""

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from optigram.errors import InputError
from optigram.models.base import Model, Site
from optigram.shapes import Float
from optigram.targets.latent import Scaling, SparseAutoencoder
from optigram.targets.readouts import Direction, Latent, LogProb, Term, Unit
from optigram.targets.target import Target


class Source(NamedTuple):
    """A site whose states are read, and how they are scaled first."""

    site: str
    scaling: Scaling = "none"


class Normaliser(NamedTuple):
    """What log probabilities take off a logit: the log-sum-exp of all logits, which are the site `logits`, computed from `source`."""

    source: Source
    logits: str


@dataclass(frozen=True, eq=False)
class AffineTerm:
    """coefficient * f(weight @ state + bias), where f is 0 up to `threshold`, or softcaps at `cap`.

    `contest` is the autoencoder and the index of a latent that must be among its largest (TopK).
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
    def linear(self) -> bool:
        """Whether f changes nothing."""
        return self.threshold == -torch.inf and self.cap == torch.inf


def affine_terms(model: Model, target: Target) -> list[AffineTerm]:
    """The affine terms of a target without its functions; all linear terms that read one source are summed into one, which comes first.

    Raises InputError where weights overflow float32.
    """
    linear: dict[Source, AffineTerm] = {}
    others: list[AffineTerm] = []
    for term in target.terms:
        affine = _affine_term(model, term)
        if affine is None:
            continue
        if not affine.linear:
            others.append(affine)
            continue
        old, times = linear.get(affine.source), affine.coefficient
        weight, bias = times * affine.weight, times * affine.bias
        linear[affine.source] = AffineTerm(
            affine.source, weight if old is None else old.weight + weight, bias if old is None else old.bias + bias
        )
    found = [*linear.values(), *others]
    for term in found:
        if not math.isfinite(term.bias) or not bool(term.weight.isfinite().all()):
            raise InputError(f"{target} has weights that are not finite in float32; give smaller factors, vectors or biases")
    return found


def normalisers(model: Model, target: Target) -> dict[Normaliser, float]:
    """The log-sum-exps that a target's log probabilities take off, with their weights; those of differences cancel out."""
    found: dict[Normaliser, float] = {}
    for term in target.terms:
        if isinstance(term.readout, LogProb):
            head = model.sites[term.site].linear
            one = Normaliser(Source(term.site if head is None else head.source), term.site)
            found[one] = found.get(one, 0.0) + term.weight
    return {one: weight for one, weight in found.items() if weight}


def _affine_term(model: Model, term: Term) -> AffineTerm | None:
    """A term as an affine one; None for a function."""
    device = model.embedding.device
    match term.readout:
        case Unit(index) | LogProb(index):
            return _unit(model.sites[term.site], term, index, device)
        case Direction(vector=vector):
            return AffineTerm(Source(term.site), vector.float().to(device), 0.0, term.weight)
        case Latent(_, index, autoencoder):
            row = autoencoder.encoder[index]
            bias = float(autoencoder.bias[index] - row @ autoencoder.center)
            contest = None if autoencoder.top is None else (autoencoder, index)
            threshold = float(autoencoder.threshold[index])
            return AffineTerm(Source(term.site, autoencoder.scaling), row.to(device), bias, term.weight, threshold, contest=contest)
    return None


def _unit(site: Site, term: Term, index: int, device: torch.device) -> AffineTerm:
    if site.linear is None:
        row = torch.zeros(site.width, device=device)
        row[index] = 1
        return AffineTerm(Source(term.site), row, 0.0, term.weight)
    row, bias = site.linear.weight[index].detach().float().to(device), float(site.linear.bias[index])
    cap = torch.inf if site.linear.softcap is None else site.linear.softcap
    return AffineTerm(Source(site.linear.source), row, bias, term.weight, cap=cap)
