"""The best n-grams of a corpus: one pass scores all of them, and texts that must differ are picked from its list."""

import dataclasses
from collections.abc import Callable

import torch
from torch import Tensor

from optigram.methods import Corpus
from optigram.objective.objective import Objective
from optigram.optimize.search import SearchResult, TargetResult, search
from optigram.runs.cache import Cache
from optigram.runs.site_lists import FEWEST, SiteLists
from optigram.runs.site_states import SiteStates
from optigram.shapes import Int
from optigram.text.overlap import KnownTexts

LISTED, DEEPER = 128, 16  # texts in the first list from which texts that differ are picked; how many times longer the next one is

Watch = Callable[[int, Tensor], None]


def best_of_corpus(
    objective: Objective,
    corpus: Corpus,
    n: int,
    seed: int = 0,
    watch: Watch = lambda done, best: None,
    front: bool = False,
    cache: Cache | None = None,
) -> SearchResult:
    """The n best n-grams of a corpus for every target, or with `front` their Pareto front.

    With a `cache` the pass leaves there what the next neuron of the same site needs, and there is no pass if all is there: the result
    is the same to the last bit. It never serves an objective with a fluency, whose values are not activations.
    """
    if cache is None or front or objective.fluency is not None or objective.contexts > 1 or len(corpus.texts) < FEWEST:
        return search(objective, corpus, None, seed, n, watch, front=front)
    lists = SiteLists(objective, corpus, cache)
    if all(whole is not None for whole in lists.wholes):
        return _by_lists(lists, n, seed, watch)
    states = SiteStates(lists)
    return _by_states(states, n, seed, watch) if states.fits else search(objective, corpus, None, seed, n, watch)


def _by_lists(lists: SiteLists, n: int, seed: int, watch: Watch) -> SearchResult:
    """The best n-grams from the lists of units; where there are none, a search that makes them."""
    known = lists.recall(n)
    if known is not None:
        watch(len(known.found), torch.tensor([one.activation[0] for one in known.found if one is not None]))
        return known
    recorder = lists.recorder(lists.missing())
    found = search(lists.objective.beside(recorder.wholes, recorder.see), lists.corpus, None, seed, n, watch)
    if (spent := _spent(found)) and recorder.wholes:
        recorder.store(spent)
    return found


def _by_states(states: SiteStates, n: int, seed: int, watch: Watch) -> SearchResult:
    """The best n-grams by a search that takes the states from the cache; where there are none, by one that leaves them there."""
    corpus, known = states.lists.corpus, states.recalled()
    if known is not None:
        return search(known, corpus, None, seed, n, watch)
    found = search(states.recorded(), corpus, None, seed, n, watch)
    if spent := _spent(found):
        states.store(spent)
    return found


def _spent(found: SearchResult) -> list[float]:
    """Forward-equivalents after each chunk of a whole search; none of an interrupted one."""
    first = found.found[0]
    return [] if found.interrupted or first is None else [point[0] for point in first.trace]


def diverse_of_corpus(
    objective: Objective,
    corpus: Corpus,
    listed: SearchResult,
    depth: int,
    n: int,
    most: float,
    seed: int = 0,
    watch: Watch = lambda done, best: None,
    cache: Cache | None = None,
) -> SearchResult:
    """For every target the best text, then the best that shares at most the fraction `most` of its words with those before, and so on.

    They are picked from the `listed` best ones, `depth` per target. For targets whose list ends too soon, the corpus is read again for
    a longer one.
    """
    found = [None if one is None else _picked(one, n, most) for one in listed.found]
    pairs = enumerate(zip(listed.found, found, strict=True))
    short = [row for row, (whole, few) in pairs if whole is not None and few is not None and len(few.ids) < n and len(whole.ids) >= depth]
    if listed.interrupted or not short or depth >= len(corpus.texts):
        return SearchResult(found, listed.interrupted)
    part, deeper = objective.subset(short), min(DEEPER * depth, len(corpus.texts))
    longer = best_of_corpus(part, corpus, deeper, seed, watch, cache=cache)
    again = diverse_of_corpus(part, corpus, longer, deeper, n, most, seed, watch, cache)
    for row, one in zip(short, again.found, strict=True):
        found[row] = _with_cost(one, found[row])
    return SearchResult(found, again.interrupted)


def _picked(one: TargetResult, n: int, most: float) -> TargetResult:
    """The first text of a ranked list, then the first that is not too near to those before, and so on."""
    free, chosen = torch.ones(len(one.ids), dtype=torch.bool), []
    while len(chosen) < n and free.any():
        chosen.append(int(free.int().argmax()))
        near = KnownTexts(one.ids[None, chosen[-1:]], most).near(one.ids[None])[0]
        near[chosen[-1]] = True
        free &= ~near
    order: Int[Tensor, " n"] = torch.tensor(chosen, dtype=torch.int64)
    return dataclasses.replace(
        one,
        ids=one.ids[order],
        activation=one.activation[order],
        surprisal=None if one.surprisal is None else one.surprisal[order],
        remarks={name: values[order] for name, values in one.remarks.items()},
    )


def _with_cost(one: TargetResult | None, before: TargetResult | None) -> TargetResult | None:
    """A result that took more than its own pass; the one before it, if an interrupt left none."""
    if one is None or before is None:
        return before
    return dataclasses.replace(
        one,
        forwards=one.forwards + before.forwards,
        backwards=one.backwards + before.backwards,
        seconds=one.seconds + before.seconds,
        trace=before.trace,
    )
