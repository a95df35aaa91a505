"""Concepts: the kinds of texts to which a target responds, each with its pattern; with contrasts they are the evidence about it."""

import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from optigram.explaining.clusters import Kinds, clustered
from optigram.explaining.contrasts import Contrasts
from optigram.explaining.cores import cores
from optigram.explaining.evidence import Concept, Evidence, Example
from optigram.explaining.judge import Ids, Judge, Scale
from optigram.explaining.pool import check_varies, high_places, optima, unlike, usual_texts
from optigram.explaining.slots import FIRES, Built, Patterns
from optigram.methods import Corpus
from optigram.objective.objective import Objective
from optigram.runs.cache import Cache

OPTIMA, PLACES = 5, 8  # examples of each source in a concept
TRIED = 3  # cores from which the pattern of a concept is chosen
ORDERS = 24  # orders of the words of a text that are judged
Look = Callable[[str], None]


def concepts(
    objective: Objective,
    read: Corpus | None,
    budget: float,
    seed: int = 0,
    cache: Cache | None = None,
    pole: str = "max",
    look: Look = lambda what: None,
) -> Evidence:
    """The evidence about the one target of an objective, from searches with `budget` forward-equivalents and the n-grams of a corpus.

    `look` is told what is done next. Raises InputError where no text raises the target.
    """
    begun, (target,), judge = time.perf_counter(), objective.targets, Judge(objective)
    usual = usual_texts(objective, read, seed)
    values = judge.score(usual)
    scale = Scale(float(np.median(values[np.isfinite(values)]))) if np.isfinite(values).any() else Scale(0.0)
    look("corpus")
    places, best = ([], []) if read is None else _places(objective, read, scale, seed, cache)
    patterns = Patterns(judge, scale, Kinds.of(judge, usual, seed), _fillers(judge, usual), seed)
    found = optima(objective, patterns, best, budget, seed, look)
    texts = [*dict.fromkeys([*found.texts, *places])]
    check_varies(target, np.concatenate([values, judge.score(texts)]))
    look("clusters")
    own = cores(judge, texts, scale)
    cluster, stability = clustered(patterns.kinds.likeness(own), seed)
    searched = set(found.texts)
    made = []
    members = [[(texts[row], own[row]) for row in np.nonzero(cluster == number)[0]] for number in range(int(cluster.max()) + 1)]
    for number, pairs in enumerate(members):
        look(f"pattern {number + 1}")
        others = [[core for _, core in one] for one in members if one is not pairs]
        made.append(_concept(patterns, pairs, searched, places, others))
    made.sort(key=lambda pair: -pair[0].height)
    look("contrasts")
    texts.sort(key=lambda text: -judge.score([text])[0])
    contrasts = Contrasts(judge, scale, made[0][0].height, seed).of([built for _, built in made], texts, searched, read)
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
        forwards=judge.spent + found.spent + (0 if read is None else len(read.texts)),
        seconds=time.perf_counter() - begun,
    )


def _places(objective: Objective, read: Corpus, scale: Scale, seed: int, cache: Cache | None) -> tuple[Sequence[Ids], Sequence[Ids]]:
    found, best = high_places(objective, read, scale.base, seed, cache)
    return found.texts, best


def _fillers(judge: Judge, usual: Sequence[Ids]) -> Sequence[int]:
    """Words that stand for any word: those of random n-grams."""
    return [word for text in usual for word in text] or judge.words.tolist()


def _concept(
    patterns: Patterns,
    members: Sequence[tuple[Ids, Ids]],
    searched: set[Ids],
    places: Sequence[Ids],
    others: Sequence[Sequence[Ids]],
) -> tuple[Concept, Built]:
    """A concept of texts with their cores. Its pattern is made from the best text, the best corpus place and the commonest core.

    Of these it is the one that fires and catches most.
    """
    judge, scale = patterns.judge, patterns.scale
    values = judge.score([text for text, _ in members])
    ordered = [members[row] for row in (-values).argsort(kind="stable").tolist()]
    own_places = [text for text in places if text in {text for text, _ in members}]
    total: dict[Ids, float] = {}
    for (_, core), value in zip(members, values, strict=True):
        total[core] = total.get(core, 0.0) + value - scale.base
    best_place = next((core for text, core in ordered if text in own_places), None)
    tried = dict.fromkeys(filter(None, [ordered[0][1], best_place, *sorted(total, key=lambda core: -total[core])]))
    made = []
    for core in list(tried)[:TRIED]:
        near = [other for other in total if len(other) <= len(core)]
        source = "search" if any(text in searched for text, own in ordered if own == core) else "corpus"
        built = patterns.of(core, source, near, others)
        assert built.pattern is not None
        caught = [built.pattern.find(judge.tokens(text)) is not None for text in own_places]
        recall = float(np.mean(caught)) if caught else None
        made.append((built.pattern.firing + (recall or 0.0), replace(built, pattern=replace(built.pattern, recall=recall))))
    built = max(made, key=lambda pair: pair[0])[1]
    assert built.pattern is not None
    examples = _examples(judge, [text for text, _ in ordered], searched)
    share = len(own_places) / len(places) if places else None
    return Concept(examples, built.pattern, share, _order(judge, scale, ordered[0][0])), built


def _examples(judge: Judge, ordered: Sequence[Ids], searched: set[Ids]) -> list[Example]:
    """Unlike texts of both sources, best first."""
    optimized, places = [text for text in ordered if text in searched], [text for text in ordered if text not in searched]
    chosen = [*unlike(optimized, OPTIMA), *unlike(places, PLACES)]
    shown = [
        Example(judge.text(text), float(value), "search" if text in searched else "corpus")
        for text, value in zip(chosen, judge.score(chosen), strict=True)
    ]
    return sorted(shown, key=lambda example: -example.activation)


def _order(judge: Judge, scale: Scale, text: Ids) -> float | None:
    """The share of other orders of a text that fire."""
    orders = list(dict.fromkeys(itertools.islice(itertools.permutations(text), 720)))[1:]
    if not orders:
        return None
    step = max(len(orders) // ORDERS, 1)
    values, (own,) = judge.score(orders[::step]), judge.score([text])
    return float((values >= scale.level(FIRES, float(own))).mean())
