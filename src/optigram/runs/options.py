"""From words to a judge: what is asked for on a command line or in a study, and the objective that it stands for."""

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, cast

from optigram.errors import InputError
from optigram.models.base import Model
from optigram.models.imaginet import Imaginet
from optigram.models.loading import load
from optigram.models.sites import aliases
from optigram.objective.fluency import Fluency, parse_band
from optigram.objective.objective import Objective
from optigram.runs.sae_fit import sae_fit
from optigram.targets.readouts import Latent
from optigram.targets.target import resolve
from optigram.text.formats import sentences
from optigram.text.lexicon import Rules, lexicon
from optigram.text.template import Template

APART = 0.6  # share of words that several texts of a target may have in common
LENGTH = 5  # free words, where neither the length nor the template says how many
DTYPES = ("float32", "bfloat16", "float16")


@dataclass(frozen=True)
class FindOptions:
    """What is asked for, in words and numbers only; see `optigram find --help`."""

    model: str
    targets: Sequence[str]
    by: Sequence[str]
    length: int | None = None
    corpus: str | None = None
    budget: float | None = None
    top: int = 1
    apart: float = APART
    template: str | None = None
    special: bool = False
    seed: int = 0
    device: str = "cpu"
    chat: bool = False
    without: Sequence[str] = ()
    matching: str | None = None
    words: str = "any"
    seen_in: str | None = None
    must_survive: bool = False
    fluency: float = 0.0
    surprisal: str | None = None
    fluency_model: str | None = None
    dtype: str = "float32"
    start: str | None = None
    front: bool = False
    repetition: float = 0.0
    second_opinion: str | None = None


def make_objective(request: FindOptions, network: Model | None = None) -> Objective:
    """The objective that a request stands for; `network` is its model, if that is loaded already. Raises InputError."""
    if request.words not in ("any", "whole"):
        raise InputError(f"expected --words any or whole, got {request.words!r}")
    if request.front and request.top > 1:
        raise InputError(f"--front shows all texts that no other beats; leave out --top {request.top}")
    if not 0 <= request.apart <= 1:
        raise InputError(f"expected --apart from 0 to 1, got {request.apart}")
    if request.dtype not in DTYPES:
        raise InputError(f"expected --dtype {', '.join(DTYPES)}, got {request.dtype!r}")
    network = _loaded(request, request.dtype) if network is None else network
    vocabulary = network.vocabulary
    template = _template(request, network)
    seen = None if request.seen_in is None else (sentence.text for sentence in sentences(request.seen_in))
    rules = Rules(request.special, tuple(request.without), request.matching, cast("Literal['any', 'whole']", request.words))
    return Objective(
        network,
        resolve(request.targets, network),
        next(length for length in (request.length, template.length, LENGTH) if length is not None),
        template,
        lexicon(vocabulary, rules, seen),
        fluency_of(request),
        request.must_survive,
        None if request.dtype == "float32" else functools.cache(lambda: _loaded(request, "float32")),
    )


def fluency_of(request: FindOptions) -> Fluency | None:
    """What a request asks of the surprisal, or None if nothing."""
    asked = (request.fluency, request.surprisal, request.fluency_model, request.front, request.repetition, request.second_opinion)
    if not any(asked):
        return None
    band = (0.0, float("inf")) if request.surprisal is None else parse_band(request.surprisal)
    model = None if request.fluency_model is None else load(request.fluency_model, request.device)
    second = None if request.second_opinion is None else load(request.second_opinion, request.device)
    return Fluency(request.fluency, band, model, request.repetition, second)


def remarks(objective: Objective, texts: Sequence[str] = ()) -> Iterator[str]:
    """What is worth saying of an objective before the work: how its autoencoders fit, and what a language model cannot do."""
    if objective.fluency is not None and objective.fluency.weight and not objective.penalises_surprisal:
        yield "the language model has other tokens: its surprisal ranks discrete texts, and gives the methods no gradient"
    terms = [term for target in objective.targets for term in target.terms]
    tried = {(term.site, term.readout.file): term.readout.autoencoder for term in terms if isinstance(term.readout, Latent)}
    for (site, file), autoencoder in tried.items():
        found = sae_fit(objective.model, site, autoencoder, texts)
        on = "sentences of the corpus" if texts else "random words, for want of a corpus"
        share = "no decoder to try" if found.unexplained is None else f"{found.unexplained:.2f} of the variance unexplained"
        made = f" (made for {autoencoder.made_for})" if autoencoder.made_for else ""
        yield f"{file}{made} at {site}: {share}, {found.active:.1f} latents on at a position, over {on}"
        if found.poor or _made_elsewhere(objective.model, site, autoencoder.made_for):
            yield f"WARNING: {file} does not fit {site}; was it made for another place, layer or model?"


def _made_elsewhere(model: Model, site: str, made_for: str | None) -> bool:
    """Whether an autoencoder names a place of this model, and it is another one; names that the model does not know say nothing."""
    return made_for is not None and made_for in model.sites and aliases(model, made_for) != aliases(model, site)


def _template(request: FindOptions, network: Model) -> Template:
    if request.template is None and not request.chat:
        return Template.bare(network.vocabulary)
    return Template.parse(request.template or "{}", network.vocabulary, request.chat)


def _loaded(request: FindOptions, dtype: str) -> Model:
    model = load(request.model, request.device, dtype)
    if dtype != "float32" and isinstance(model, Imaginet):
        raise InputError(f"an Imaginet is searched in float32, got --dtype {dtype}; leave it out")
    return model
