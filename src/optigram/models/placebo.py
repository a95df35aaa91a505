"""Placebos: models of the same shape whose neurons mean nothing, to show how much of a gain the optimizer makes by itself."""

import torch

from optigram.errors import InputError
from optigram.models.base import Model
from optigram.models.imaginet import PATHS, Imaginet

SEED = 0


def placebo(model: Model, kind: str) -> Imaginet:
    """An Imaginet with random "directions" for neurons, of each neuron's own norm and bias, or with new "weights" throughout.

    Raises InputError for a model of another kind.
    """
    if not isinstance(model, Imaginet):
        raise InputError(f"expected an Imaginet to make a placebo of, got {model.name}; leave out `placebo`")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        made = Imaginet(model.words, model.labels, model.sizes, name=f"{model.name} (random {kind})")
        drawn = {path: torch.randn(model.projection(path).weight.shape) for path in PATHS}
    if kind == "directions":
        made.load_state_dict(model.state_dict())
        for path, directions in drawn.items():
            norms = made.projection(path).weight.data.norm(dim=1, keepdim=True)
            made.projection(path).weight.data = torch.nn.functional.normalize(directions, dim=1) * norms
    made.first_words.copy_(model.first_words)
    return made.to(model.embedding.device).eval().requires_grad_(False)
