"""From options to an objective, and the remarks that a user should read before a search."""

import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import torch

from optigram.errors import InputError
from optigram.models.base import Model
from optigram.models.lengths import check_length
from optigram.models.loading import load
from optigram.models.sites import Sites
from optigram.objective.contexts import Contexts
from optigram.objective.fluency import Fluency
from optigram.objective.objective import Objective
from optigram.runs.cache import Cache
from optigram.runs.options import LENGTH, MOST_WORDS, ConceptOptions, FindOptions, ObjectiveOptions
from optigram.targets.custom import Custom
from optigram.targets.latent import Fit, SparseAutoencoder
from optigram.targets.readouts import Latent
from optigram.targets.target import Target, resolve
from optigram.text.lexicon import Rules, lexicon
from optigram.text.sources import open_corpus
from optigram.text.template import Template, counted_places

_TEXTS, _LONGEST, _RANDOM = 32, 64, 16  # texts tried, tokens of each at the most, words of a random one

SHORT = 32  # tokens that every model reads; whether it reads more is tried
SLOT = re.compile(r"\{\d{6,}\}")  # more words than a slot may have


def make_objective(
    model: Model, targets: Any, options: ObjectiveOptions, length: int | None = None, exact: Callable[[], Model] | None = None
) -> Objective:
    """The objective that options ask for. `length` overrides theirs, and each of a range needs it.

    `exact` gives the model in float32 after a search in `dtype`. Raises InputError for what the model cannot give.
    """
    contexts = _contexts(options) if isinstance(options, FindOptions) else []
    if len(contexts) > 1 and isinstance(options, FindOptions):
        return _in_all(model, targets, options, contexts, length, exact)
    given = contexts[0] if contexts else options.template
    if re.search(SLOT, given or ""):
        raise InputError(f"expected slots of at most {MOST_WORDS:,} words in the template, got {given!r:.80}")
    vocabulary = model.vocabulary
    template = Template.bare(vocabulary) if given is None and not options.chat else Template.parse(given or "{}", vocabulary, options.chat)
    seen = None if options.seen_in is None else open_corpus(options.seen_in).texts()
    rules = Rules(options.special, options.without, options.matching, options.words)
    Cache.keep_trials(model, None if isinstance(options, FindOptions | ConceptOptions) and options.no_cache else Cache.usual())
    asked = resolve(targets, model)
    words = next(found for found in (length, _one(options.length), template.length, LENGTH) if found is not None)
    objective = Objective(
        model,
        asked,
        words,
        template,
        lexicon(vocabulary, rules, seen),
        _fluency(options, model),
        options.must_survive,
        None if options.dtype == "float32" else exact,
    )
    if (tokens := len(template.fill([0] * words))) > SHORT:
        check_length(model, _sites_of(asked), tokens, "give a shorter text, a smaller --length or a shorter template")
    return objective


def _contexts(options: FindOptions) -> list[str]:
    """The templates of all contexts, each once: the template, then those of `contexts`, of which files hold one per line."""
    found = [] if options.template is None else [options.template]
    for given in options.contexts:
        if "{" in given:
            found.append(given)
            continue
        try:
            lines = [line for line in Path(given).read_text("utf-8").splitlines() if line.strip()]
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"expected a template with {{}} or a text file of templates in UTF-8, got {given!r:.80} ({error})") from error
        if not lines:
            raise InputError(f"{given} holds no template; write one with {{}} per line")
        found += lines
    return list(dict.fromkeys(found))


def _in_all(
    model: Model, targets: Any, options: FindOptions, contexts: Sequence[str], length: int | None, exact: Callable[[], Model] | None
) -> Contexts:
    """The objective of texts in several contexts, which all have the same number of free words."""
    parsed = [Template.parse(context, model.vocabulary, options.chat) for context in contexts]
    words = next(
        (found for found in (length, _one(options.length), *(template.length for template in parsed)) if found is not None),
        LENGTH,
    )
    made = [options.model_copy(update={"template": context, "contexts": (), "length": words}) for context in contexts]
    asked = resolve(targets, model)
    return Contexts([make_objective(model, asked, one, exact=exact) for one in made], options.over)


def _one(length: Any) -> int | None:
    """The length that options ask for; None for a range, whose lengths are given one by one."""
    return length if isinstance(length, int) else None


def _sites_of(targets: Sequence[Target]) -> list[str]:
    """All sites that targets read."""
    terms = [term for target in targets for term in target.terms]
    sites = [term.readout.sites if isinstance(term.readout, Custom) else (term.site,) for term in terms]
    return list(dict.fromkeys(itertools.chain.from_iterable(sites)))


def _fluency(options: ObjectiveOptions, model: Model) -> Fluency | None:
    """What options ask of the surprisal, or None for nothing."""
    front = isinstance(options, FindOptions) and options.front
    asked = (options.fluency, options.surprisal, options.fluency_model, front, options.repetition, options.second_opinion)
    if not any(asked):
        return None
    band = (0.0, float("inf")) if options.surprisal is None else Fluency.parse_band(options.surprisal)
    device = str(model.embedding.device)
    first, second = (None if source is None else load(source, device=device) for source in (options.fluency_model, options.second_opinion))
    return Fluency(options.fluency, band, first, options.repetition, second, front)


def remarks(objective: Objective, texts: Sequence[str] = ()) -> Iterator[str]:
    """What a user should know before the search: what the model lacks, how well autoencoders fit, what the language model cannot do."""
    if remark := getattr(objective.model, "remark", ""):
        yield remark
    if objective.fluency is not None and objective.fluency.weight and not objective.penalises_surprisal:
        yield "the language model has a different vocabulary: its surprisal ranks discrete texts but gives no gradient"
    terms = [term for target in objective.targets for term in target.terms]
    tried = {(term.site, term.readout.file): term.readout.autoencoder for term in terms if isinstance(term.readout, Latent)}
    for (site, file), autoencoder in tried.items():
        found = _sae_fit(objective.model, site, autoencoder, texts)
        on = "sentences of the corpus" if texts else "random words (no corpus)"
        share = "no decoder" if found.unexplained is None else f"{found.unexplained:.2f} of the variance unexplained"
        made = f" (made for {autoencoder.made_for})" if autoencoder.made_for else ""
        yield f"{file}{made} at {site}: {share}, {found.active:.1f} latents active per position, on {on}"
        if found.poor or _made_elsewhere(objective.model, site, autoencoder.made_for):
            yield f"WARNING: {file} does not fit {site}; check layer, hook point and model"


def _made_elsewhere(model: Model, site: str, made_for: str | None) -> bool:
    """Whether an autoencoder names another site of this model; a name that the model does not know proves nothing."""
    return made_for is not None and made_for in model.sites and Sites.aliases(model, made_for) != Sites.aliases(model, site)


def _sae_fit(model: Model, site: str, autoencoder: SparseAutoencoder, texts: Sequence[str] = ()) -> Fit:
    """How an autoencoder fits a site, on the first of `texts`, or on random words if there are none.

    Texts run one by one, so that nothing is padded. Special tokens and the first position, an attention sink, are left out.
    """
    vocabulary, template = model.vocabulary, Template.bare(model.vocabulary)
    rows = [row for text in islice(texts, _TEXTS) if (row := vocabulary.encode(text)[:_LONGEST])]
    if not rows:
        words = torch.from_numpy(lexicon(vocabulary))
        rows = words[torch.randint(len(words), (_TEXTS, _RANDOM), generator=torch.Generator().manual_seed(0))].tolist()
    states = []
    with torch.no_grad():
        for row in rows:
            ids = torch.tensor([template.fill(row)], device=model.embedding.device)
            counted = torch.tensor(counted_places(template, len(row), vocabulary))
            states.append(model.read(model.embedding[ids], [site])[site][0, counted])
        return autoencoder.to(model.embedding.device).fit(torch.cat(states))
