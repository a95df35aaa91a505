"""The texts that concepts are made of: many different optima, and the highest places of a corpus."""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from optigram.errors import InputError
from optigram.explaining.cores import cores
from optigram.explaining.exact import Exact, Ids, Scale
from optigram.explaining.slots import FIRES, Patterns
from optigram.methods import Corpus
from optigram.objective.objective import Objective
from optigram.optimize.search import Budget, search
from optigram.runs.cache import Cache
from optigram.runs.corpus_best import best_of_corpus
from optigram.runs.plan import Plan
from optigram.text.overlap import KnownTexts

APART = 0.6  # largest share of words that two texts of the pool have in common
DEEP, HIGHEST = 1024, 1 / 3  # best n-grams of the corpus; share of the places kept that are the highest ones
OF_ROUND, LISTED = 4, 64  # texts kept of each search; texts they are chosen from
STARTS = 16  # corpus n-grams that a search starts from
USUAL = 256  # n-grams whose median is the base
SAMPLED, ENOUGH = 4096, 16  # random n-grams that are judged; high ones among them that are enough
Look = Callable[[str], None]


@dataclass(frozen=True)
class _Found:
    """What a search or a corpus gave: `texts` by activation, and what it cost in forward-equivalents."""

    texts: Sequence[Ids]
    spent: float


class Pool:
    """Makes the texts that concepts are made of."""

    @staticmethod
    def usual_texts(objective: Objective, read: Corpus | None, seed: int) -> list[Ids]:
        """Random n-grams of the corpus, or random words."""
        rng = np.random.default_rng(seed)
        if read is None:
            return [tuple(row) for row in rng.choice(objective.lexicon.cpu().numpy(), (USUAL, objective.length)).tolist()]
        return [tuple(row) for row in read.texts[rng.permutation(len(read.texts))[:USUAL]].tolist()]

    @staticmethod
    def high_places(exact: Exact, read: Corpus, scale: Scale, seed: int, cache: Cache | None, most: int) -> tuple[list[Ids], list[Ids]]:
        """At most `most` n-grams of a corpus at half of its highest activation or above, each unlike those before; and its best ones.

        They are the highest ones, and others from a random sample, in which every concept has its share; where too few of the sample are
        high, they are spread over the best ones.
        """
        texts, values = _best(exact, read, seed, cache)
        if not texts:
            return [], []
        half = scale.level(FIRES, float(values[0]))
        if not half > scale.base:
            return [], texts
        top = round(most * HIGHEST)
        order = np.random.default_rng([seed, 1]).permutation(len(read.texts))
        sample = [tuple(row) for row in read.texts[order[:SAMPLED]].tolist()]
        usual = [text for text, value in zip(sample, exact.score(sample), strict=True) if value >= half]
        high = [text for text, value in zip(texts, values, strict=True) if value >= half]
        rest = Pool.unlike(usual, len(usual)) if len(usual) >= ENOUGH else Pool.unlike(high, len(high))[top:]
        spread = sorted(set(np.linspace(0, len(rest) - 1, most - top).astype(int).tolist())) if rest else []
        return list(dict.fromkeys([*Pool.unlike(high, top), *(rest[row] for row in spread)])), texts

    @staticmethod
    def optima(
        objective: Objective, patterns: Patterns, corpus_best: Sequence[Ids], budget: float, seed: int, look: Look, rounds: int
    ) -> _Found:
        """Optima of several searches: each may propose no word that the optima before it depend on, until none fires any more.

        Denied are the words of the slot whose loss costs an optimum most: all that keep 75% of its core's activation and are like it.
        """
        exact, scale = patterns.exact, patterns.scale
        found: list[Ids] = []
        denied: set[int] = set()
        spent, top = 0.0, -np.inf
        for number in range(rounds):
            words = np.array([word for word in exact.words.tolist() if word not in denied])
            if len(words) < 2:
                break
            look(f"search {number + 1} of at most {rounds}")
            part = Objective(
                objective.model,
                objective.targets,
                objective.length,
                dataclasses.replace(objective.template, length=None),
                words,
                objective.fluency,
                objective.must_survive,
            )
            starts = [text for text in corpus_best if not denied.intersection(text)]
            texts, cost = _search(part, starts, budget / rounds, seed + number, exact.pause)
            spent += cost
            if not texts:
                break
            values = exact.score(texts)
            top = max(top, float(values.max()))
            if values.max() < scale.level(FIRES, top):
                break
            found += texts
            denied |= _decisive(patterns, texts[0])
        return _Found(found, spent)

    @staticmethod
    def unlike(texts: Sequence[Ids], most: int) -> list[Ids]:
        """The first text, then each that shares at most 60% of its words with those before, up to `most`. All have the same length."""
        ids, free, found = torch.tensor(texts), torch.ones(len(texts), dtype=torch.bool), []
        while len(found) < most and free.any():
            chosen = int(free.int().argmax())
            found.append(texts[chosen])
            free &= ~KnownTexts(ids[None, chosen : chosen + 1], APART).near(ids[None])[0]
            free[chosen] = False
        return found

    @staticmethod
    def check_varies(target: object, usual: np.ndarray, high: np.ndarray) -> None:
        """Raises InputError where no text has a higher activation than usual ones."""
        raised = len(high) > 0  # else neither a high place of the corpus, nor a search's text above what is usual
        usual, high = (values[np.isfinite(values)] for values in (usual, high if raised else usual))
        if not len(usual) or not len(high):
            problem = f"{target} is not finite on any text tried"
            raise InputError(f"{problem}; check the model's weights and dtype, and the weights of the target")
        if not raised or high.max() - np.median(usual) <= 1e-6 * max(1.0, abs(float(high.max()))):
            raise InputError(f"no text raises {target} above {high.max():.4g}; give another target, a corpus or a larger budget")


def _best(exact: Exact, read: Corpus, seed: int, cache: Cache | None) -> tuple[list[Ids], list[float]]:
    """The best n-grams of a corpus and their activations: without a pass over it where all are known."""
    if exact.knows(map(tuple, read.texts.tolist())):
        known = [tuple(row) for row in read.texts.tolist()]
        values = exact.score(known)
        order = (-values).argsort(kind="stable")[:DEEP].tolist()
        return [known[row] for row in order], values[order].tolist()
    outcome = best_of_corpus(exact.objective, read, DEEP, seed, lambda done, best: exact.pause(), cache=cache)
    (best,) = outcome.found
    if best is None or outcome.interrupted:
        raise KeyboardInterrupt
    return [tuple(row) for row in best.ids.tolist()], best.activation.tolist()


def _search(objective: Objective, starts: Sequence[Ids], budget: float, seed: int, pause: Callable[[], None]) -> tuple[list[Ids], float]:
    """Some unlike texts of one search, best first; `pause` is called in every round."""
    method = Plan.of("coordinate", objective, None, budget).method
    assert method is not None
    begin = torch.tensor(starts[:STARTS])[None] if starts else None
    outcome = search(objective, method.with_block(1), Budget(forwards=budget), seed, LISTED, lambda done, best: pause(), begin)
    (one,) = outcome.found
    if one is None or outcome.interrupted:
        raise KeyboardInterrupt
    return Pool.unlike([tuple(row) for row in one.ids.tolist()], OF_ROUND), one.forwards + one.backwards


def _decisive(patterns: Patterns, text: Ids) -> set[int]:
    """The words of the slot that the core of a text depends on most."""
    exact = patterns.exact
    (core,) = cores(exact, [text], patterns.scale)
    without = exact.score([core[:place] + core[place + 1 :] for place in range(len(core))]) if len(core) > 1 else [0.0]
    return patterns.alike(core, int(np.argmin(without)))
