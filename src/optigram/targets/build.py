"""Factories of targets, which need no model: `resolve` looks up what they ask for, and checks it.

They refuse what is of the wrong type with an InputError of their own, so annotations are not checked on top (`unchecked`).
"""

import operator
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from optigram.errors import InputError
from optigram.shapes import Float, unchecked
from optigram.targets.address import LOG_PROB, LOGIT
from optigram.targets.custom import Custom, Function
from optigram.targets.float32 import as_float32
from optigram.targets.readouts import Asked, Direction, Held, Term
from optigram.targets.target import Target


@unchecked
def neuron(site: str, unit: int | str) -> Target:
    """One unit of a site, by index or by name: `neuron("mlp_act.5", 137)`, `neuron("visual", "pizza")`."""
    return _asked(_site(site), unit)


@unchecked
def logit(token: int | str) -> Target:
    """The logit of a token, by id or as it is typed, with its blank: `logit(" Paris")`. The model must have vocabulary logits."""
    return _asked(LOGIT, token)


@unchecked
def log_prob(token: int | str) -> Target:
    """The log probability of a token after each position, in nats: its logit less the log of the sum of exp of all logits."""
    return _asked(LOG_PROB, token)


@unchecked
def direction(site: str, vector: Float[Tensor, " h"] | Any, name: str | None = None) -> Target:
    """The dot product of a site's state with a vector [h]: a tensor, an array or a list, copied as float32, not normalised.

    `name` stands in the address, beside a hash of the vector. Raises InputError for a vector of another dimension, or with
    numbers that are not finite.
    """
    return Target((Term(_site(site), Direction(_name(name, "vector"), _vector(vector))),))


@unchecked
def latent(site: str, sae: Any, index: int) -> Target:
    """One latent of a sparse autoencoder that reads the site.

    `sae` is a folder of SAELens, sparsify, dictionary_learning or Gemma Scope, a `.safetensors` file, or `saelens:RELEASE:ID`, as in an
    address; or an object or a mapping in memory with SAELens's names (W_enc [h n], b_enc [n], and W_dec, b_dec, threshold, cfg),
    sparsify's and dictionary_learning's (encoder.weight [n h], encoder.bias, ...), or plain ones (encoder [n h], and bias, center,
    threshold, k). Raises InputError for anything else.
    """
    source = str(Path(sae)) if isinstance(sae, str | os.PathLike) else Held(sae)
    return Target((Term(_site(site), Asked(_index(index), source)),))


@unchecked
def custom(function: Function, sites: str | Sequence[str], name: str | None = None) -> Target:
    """A function of the states of some sites.

    `function(states, mask)` is given {site: float32 [b s h]} and the mask bool [b s] of the positions that @max and @mean look at;
    it returns one value per text [b], or one per position [b s], which is then pooled. It must be differentiable for methods that
    use gradients, and treat each text by itself. A function at the top level of a module has an address that resolves again; `name`
    is for others, which exist in memory alone.
    """
    if not callable(function):
        raise InputError(f"expected a function(states, mask), got {type(function).__name__}")
    listed = (sites,) if isinstance(sites, str) else tuple(sites) if isinstance(sites, Sequence) else ()
    if not listed or not all(isinstance(site, str) and site for site in listed) or len(set(listed)) < len(listed):
        raise InputError(f"expected the names of one or several sites of a model, each once, got {sites!r}")
    shown = getattr(function, "__name__", type(function).__name__).strip("<>")
    return Target((Term(listed[0], Custom(function, listed, _name(name, shown))),))


def _asked(site: str, unit: Any) -> Target:
    if isinstance(unit, str) and not unit:
        raise InputError(f"expected the index or the name of a unit of {site}, got an empty string")
    return Target((Term(site, Asked(unit if isinstance(unit, str) else _index(unit))),))


def _index(unit: Any) -> int:
    try:
        index = operator.index(unit)
    except TypeError as error:
        raise InputError(f"expected the index or the name of one unit, got {type(unit).__name__} {unit!r:.40}") from error
    if isinstance(unit, bool) or index < 0:
        raise InputError(f"expected the index of a unit, from 0, got {unit}")
    return index


def _site(site: Any) -> str:
    if not isinstance(site, str) or not site:
        raise InputError(f"expected the name of a site, such as mlp_act.5, got {site!r:.40}")
    return site


def _name(name: Any, default: str) -> str:
    if name is not None and (not isinstance(name, str) or not name):
        raise InputError(f"expected a name, got {name!r:.40}")
    return name or default


def _vector(vector: Any) -> Float[Tensor, " h"]:
    """A copy as float32, so that what the caller changes later is not changed here."""
    copied = as_float32(vector, "a vector")
    if copied.ndim != 1 or not len(copied):
        raise InputError(f"expected a vector of one dimension, as wide as the site, got shape {list(copied.shape)}")
    return copied
