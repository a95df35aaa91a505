"""Concepts: the kinds of texts to which a target responds, each with its pattern; with contrasts they are the evidence about it."""

import itertools
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from optigram.explaining.clusters import Kinds, clustered
from optigram.explaining.contrasts import Contrasts
from optigram.explaining.cores import cores
from optigram.explaining.effort import Effort
from optigram.explaining.evidence import Concept, Evidence, Example
from optigram.explaining.exact import Exact, Ids, Scale
from optigram.explaining.pool import Pool
from optigram.explaining.slots import FIRES, Built, Patterns
from optigram.methods import Corpus
from optigram.objective.objective import Objective
from optigram.runs.cache import Cache

OPTIMA, PLACES = 5, 8  # examples of each source in a concept
ENOUGH = 0.5  # what a pattern fires times what it catches
ORDERS = 24  # orders of the words of a text that are judged
USUAL = Effort()
Look = Callable[[str], None]


def concepts(
    objective: Objective,
    read: Corpus | None,
    budget: float,
    seed: int = 0,
    cache: Cache | None = None,
    pole: str = "max",
    look: Look = lambda what: None,
    effort: Effort = USUAL,
    exact: Exact | None = None,
) -> Evidence:
    """The evidence about the one target of an objective, from searches with `budget` forward-equivalents and the n-grams of a corpus.

    Without a budget the corpus alone is looked at. `look` is told what is done next. `exact` scores texts, by default one of its own.
    Raises InputError where no text raises the target.
    """
    begun, (target,), exact = time.perf_counter(), objective.targets, exact or Exact(objective)
    before = exact.spent
    usual = Pool.usual_texts(objective, read, seed)
    values = exact.score(usual)
    scale = Scale(float(np.median(values[np.isfinite(values)]))) if np.isfinite(values).any() else Scale(0.0)
    look("corpus")
    places, best = ([], []) if read is None else Pool.high_places(exact, read, scale, seed, cache, effort.places)
    patterns = Patterns(exact, scale, Kinds.of(exact, usual, seed), _fillers(exact, usual), seed, effort.listed)
    found = Pool.optima(objective, patterns, best, budget, seed, look, effort.rounds if budget else 0)
    texts = [*dict.fromkeys([*found.texts, *places])]
    Pool.check_varies(target, values, exact.score(texts))
    look("clusters")
    own = cores(exact, texts, scale)
    cluster, stability = clustered(patterns.kinds.likeness(own), seed)
    searched = set(found.texts)
    members = [[row for row, one in enumerate(cluster) if one == number] for number in range(int(cluster.max()) + 1)]
    made = []
    for number, rows in enumerate(members):
        look(f"pattern {number + 1}")
        others = [[own[row] for row in one] for one in members if one is not rows]
        made.append(_concept(patterns, [texts[row] for row in rows], searched, set(places), others, effort))
    made.sort(key=lambda pair: -pair[0].height)
    contrasts = []
    if effort.contrasts:
        look("contrasts")
        texts.sort(key=lambda text: -exact.score([text])[0])
        contrasts = Contrasts(exact, scale, made[0][0].height, seed).of([built for _, built in made], texts, searched, read)
    return Evidence(
        model=objective.model.name,
        target=str(target),
        pole=pole,
        concepts=[concept for concept, _ in made],
        contrasts=contrasts,
        stability=stability,
        corpus=None if read is None else read.source,
        base=scale.base,
        places=len(places),
        forwards=exact.spent - before + found.spent + (0 if read is None else len(read.texts)),
        seconds=time.perf_counter() - begun,
    )


def _fillers(exact: Exact, usual: Sequence[Ids]) -> Sequence[int]:
    """Words that stand for any word: those of random n-grams."""
    return [word for text in usual for word in text] or exact.words.tolist()


def _concept(
    patterns: Patterns, texts: Sequence[Ids], searched: set[Ids], places: set[Ids], others: Sequence[Sequence[Ids]], effort: Effort
) -> tuple[Concept, Built]:
    """A concept of some texts, beside `others`, the cores of other concepts; and its pattern in ids."""
    exact = patterns.exact
    ordered = [texts[row] for row in (-exact.score(texts)).argsort(kind="stable")]
    own = [text for text in ordered if text in places]
    built = _pattern(patterns, ordered, searched, own, others, effort)
    share, order = len(own) / len(places) if places else None, _order(exact, patterns.scale, ordered[0])
    return Concept(_examples(exact, ordered, searched), built.pattern, share, order), built


def _pattern(
    patterns: Patterns, ordered: Sequence[Ids], searched: set[Ids], places: Sequence[Ids], others: Sequence[Sequence[Ids]], effort: Effort
) -> Built:
    """The pattern around one of the commonest cores, weighted by their activations; the first that fires and catches half, or the best.

    Cores keep 90% of their text's activation, then less.
    """
    exact, scale = patterns.exact, patterns.scale
    values = exact.score(ordered)
    made: list[tuple[float, Built]] = []
    for kept in effort.levels:
        own = cores(exact, ordered, scale, kept)
        total: Counter[Ids] = Counter()
        for core, value in zip(own, values, strict=True):
            total[core] += value - scale.base
        for core, _ in total.most_common(effort.tried):
            source = "search" if any(text in searched for text, one in zip(ordered, own, strict=True) if one == core) else "corpus"
            built = patterns.of(core, source, float(values[0]), [one for one in total if len(one) <= len(core)], others, kept)
            caught = [built.pattern.find(exact.tokens(text)) is not None for text in places]
            recall = float(np.mean(caught)) if caught else None
            worth = built.pattern.firing * (1.0 if recall is None else recall)
            made.append((worth, replace(built, pattern=replace(built.pattern, recall=recall))))
            if worth >= ENOUGH:
                return made[-1][1]
    return max(made, key=lambda pair: pair[0])[1]


def _examples(exact: Exact, ordered: Sequence[Ids], searched: set[Ids]) -> list[Example]:
    """Unlike texts of both sources, best first."""
    optimized, places = [text for text in ordered if text in searched], [text for text in ordered if text not in searched]
    chosen = [*Pool.unlike(optimized, OPTIMA), *Pool.unlike(places, PLACES)]
    shown = [
        Example(exact.text(text), float(value), "search" if text in searched else "corpus")
        for text, value in zip(chosen, exact.score(chosen), strict=True)
    ]
    return sorted(shown, key=lambda example: -example.activation)


def _order(exact: Exact, scale: Scale, text: Ids) -> float | None:
    """The share of other orders of a text that fire."""
    orders = list(dict.fromkeys(itertools.islice(itertools.permutations(text), 720)))[1:]
    if not orders:
        return None
    step = max(len(orders) // ORDERS, 1)
    values, (own,) = exact.score(orders[::step]), exact.score([text])
    return float((values >= scale.level(FIRES, float(own))).mean())
