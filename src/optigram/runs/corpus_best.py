"""The best n-grams of a corpus: one pass scores all of them, and texts that must differ are picked from its list.

With a fluency the pass is of activations, which no value exceeds: surprisal is computed of the n-grams with the highest ones alone.
"""

import dataclasses
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from optigram.methods import Corpus
from optigram.objective.contexts import Contexts
from optigram.objective.objective import Objective
from optigram.optimize.method import Ids, Proposal, Proposals
from optigram.optimize.result import SearchResult, TargetResult
from optigram.optimize.search import search
from optigram.runs.cache import Cache
from optigram.runs.site_lists import ALIKE, FEWEST, ROUGHLY, SiteLists
from optigram.runs.site_states import SiteStates
from optigram.shapes import Float, Int
from optigram.text.overlap import KnownTexts

LISTED, DEEPER = 128, 16  # texts in the first list from which texts that differ are picked; how many times longer the next one is
RANKED, FIRST = 1000, 32  # n-grams by activation whose surprisal may be computed, at least; and in the first block

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
    is the same to the last bit. With a fluency it serves the activations.
    """
    if objective.fluency is not None and not front:
        return _by_value(objective, corpus, n, max(RANKED, 4 * n), seed, watch, cache)
    if cache is None or front or objective.contexts > 1 or len(corpus.texts) < FEWEST:
        return search(objective, corpus, None, seed, n, watch, front=front)
    lists = SiteLists(objective, corpus, cache)
    if all(whole is not None for whole in lists.wholes):
        return _by_lists(lists, n, seed, watch)
    states = SiteStates(lists)
    return _by_states(states, n, seed, watch) if states.fits else search(objective, corpus, None, seed, n, watch)


def _by_value(
    objective: Objective,
    corpus: Corpus,
    n: int,
    most: int,
    seed: int,
    watch: Watch,
    cache: Cache | None,
    before: Sequence[TargetResult] = (),
) -> SearchResult:
    """The n best n-grams by value, which are among the `most` of highest activation, or among more; `before` are costs so far.

    A value is at most the activation less the price of the least surprisal, so it is enough to go down to that of the n-th best value.
    """
    if 2 * most > len(corpus.texts):
        whole = search(objective, corpus, None, seed, n, watch)
        return SearchResult([_after(one, before[row : row + 1]) for row, one in enumerate(whole.found)], whole.interrupted)
    ranked = best_of_corpus(_by_activation(objective), corpus, most, seed, watch, cache=cache)
    found, short, spent, interrupted = list[TargetResult | None](), list[int](), list[TargetResult](), ranked.interrupted
    for row, one in enumerate(ranked.found):
        if one is None or not len(one.ids):
            found.append(_after(one, before[row : row + 1]))
            continue
        listed = _Listed(one, n, objective)
        part = search(objective.subset([row]), listed, None, seed, n, lambda done, best, row=row: watch(row, best))
        found.append(_after(part.found[0], [*before[row : row + 1], one]))
        interrupted |= part.interrupted
        if not listed.settled and len(one.ids) == most and (last := found[row]) is not None:
            short.append(row)
            spent.append(last)
        if part.interrupted:
            break
    found += [None] * (len(ranked.found) - len(found))
    if short and not interrupted:
        again = _by_value(objective.subset(short), corpus, n, DEEPER * most, seed, watch, cache, spent)
        interrupted = again.interrupted
        for row, one in zip(short, again.found, strict=True):
            found[row] = one or found[row]
    return SearchResult(found, interrupted)


def _by_activation(objective: Objective) -> Objective:
    """The same objective without a fluency, and without a last re-scoring."""
    if isinstance(objective, Contexts):
        return Contexts([_by_activation(part) for part in objective.parts], objective.over)
    words = objective.lexicon.cpu().numpy()
    return Objective(objective.model, objective.targets, objective.length, objective.template, words, must_survive=objective.must_survive)


class _Listed:
    """A method for one target that proposes `ranked` n-grams in growing blocks, until no later one can be among the n best (`settled`)."""

    settled: bool
    bound: Float[Tensor, " m"]

    patience = None
    ends = True
    batch = None

    def __init__(self, ranked: TargetResult, n: int, objective: Objective) -> None:
        assert objective.fluency is not None
        self.ids, self.n, self.settled = ranked.ids, n, False
        rounding = ALIKE if objective.model.embedding.dtype == torch.float32 else ROUGHLY
        activation = ranked.activation + rounding * ranked.activation.abs().clamp(min=1)
        self.bound = activation - objective.fluency.weight * objective.fluency.band[0]

    def cost(self, budget: float) -> float:
        """One forward per text at most."""
        return float(len(self.ids))

    def with_block(self, texts: int) -> "_Listed":
        return self

    def probe(self) -> "_Listed":
        return self

    def propose(self, objective: Objective, seed: int, start: Ids | None = None) -> Proposals:
        """Blocks of twice as many n-grams as before, until the n-th best value is above what the next one can have."""
        values, end = torch.empty(0), 0
        while end < len(self.ids) and not self.settled:
            size = max(FIRST, end)
            scores = yield Proposal(self.ids[None, end : end + size])
            values = torch.cat([values, scores.value[0].cpu()]).nan_to_num(nan=-torch.inf)
            end = len(values)
            best = float(values.topk(self.n).values[-1]) if end >= self.n else -torch.inf
            self.settled = best > float(self.bound[min(end, len(self.ids) - 1)])


def _after(one: TargetResult | None, before: Sequence[TargetResult]) -> TargetResult | None:
    """A result with the cost of what was computed before it."""
    if one is None or not before:
        return one
    forwards, backwards = sum(each.forwards for each in before), sum(each.backwards for each in before)
    trace = [(spent + forwards + backwards, *rest) for spent, *rest in one.trace]
    seconds, broken = (sum(getattr(each, name) for each in (one, *before)) for name in ("seconds", "broken"))
    return dataclasses.replace(
        one, forwards=one.forwards + forwards, backwards=one.backwards + backwards, seconds=seconds, broken=broken, trace=trace
    )


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
