"""Verify: is a description of a neuron right? Prediction, counterexamples, sensitivity, each beside its placebo."""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from optigram.errors import InputError
from optigram.explaining.evidence import Evidence, Example
from optigram.explaining.ground import FIRES, Ground
from optigram.explaining.judges import NO, YES, Judge, open_judges
from optigram.explaining.prediction import predict
from optigram.explaining.question import Question
from optigram.explaining.texts import Words
from optigram.explaining.verification import Verification
from optigram.models.base import Model
from optigram.runs.corpus import corpus_for
from optigram.targets.target import Target

BUDGET = 3000.0  # forward-equivalents per description
LEAST, MOST = 100, 4000  # windows of the corpus at least and at most
DRAWN, SEARCH, EDITS = 0.3, 0.4, 0.15  # shares of the budget: windows; searches, a fourth without constraints; texts with other words
TOPS, SHUFFLED, OTHERS = 4, 6, 24  # highest windows, other descriptions, and those that a judge compares with

Pair = tuple[Target, str]  # a target and its description


def verify(
    model: Model,
    pairs: Sequence[Pair],
    judge: Any = None,
    corpus: Any = None,
    budget: float | None = None,
    seed: int = 0,
    evidence: Evidence | None = None,
    prompts: Path | None = None,
    tell: Callable[[str], None] = lambda text: None,
    known: Mapping[tuple[str, str], Verification] = MappingProxyType({}),
) -> Iterator[Verification]:
    """Test descriptions one after the other; the corpus is scored once for all of their targets.

    `known` has results by target and description, which are given back as they are. A target that is the same on all texts is left out
    where there are others, and `tell` is told. Raises InputError.
    """
    budget = BUDGET if budget is None else budget
    if not (isinstance(budget, int | float) and math.isfinite(budget) and budget >= 1):
        raise InputError(f"budget: expected at least 1 forward-equivalent, got {budget!r}")
    if not isinstance(seed, int) or seed < 0:
        raise InputError(f"seed: expected an integer from 0, got {seed!r}")
    if evidence is not None:
        evidence.check_is_of(model.name)
    for _, description in pairs:
        if not isinstance(description, str) or not Words.content(description):
            raise InputError(f"expected a description with at least one word that says something, got {description!r:.80}")
    done = [known.get((str(Ground.peak(target)), description)) for target, description in pairs]
    if all(done):
        yield from (one for one in done if one is not None)
        return
    texts = corpus_for(model, corpus, seed, tell)
    targets = tuple(dict.fromkeys(target for target, _ in pairs))
    ground = Ground.of(model, targets, texts, int(min(MOST, max(LEAST, DRAWN * budget))), seed)
    if not ground.windows:
        raise InputError(f"the corpus {texts.name} has no text of two words that {model.name} knows; give corpus= one of its own")
    judges = open_judges(judge, ground.windows, ground.phrases(OTHERS, 2, np.random.default_rng(seed)), prompts)
    for number, (target, description) in enumerate(pairs):
        if (kept := done[number]) is not None:
            yield kept
            continue
        row = targets.index(target)
        others = [other for at, (one, other) in enumerate(pairs) if at != number and one != target and other != description]
        shuffled = [*others, *ground.phrases(SHUFFLED, max(1, len(Words.content(description))), ground.rng(row, description))][:SHUFFLED]
        try:
            yield _verified(Question(ground, row, description, judges, evidence), shuffled, budget, len(targets))
        except _ConstantError as error:
            if len(pairs) == 1:
                raise
            tell(f"left out: {error}")


class _ConstantError(InputError):
    """A target that no text raises: it says nothing about its description, and nothing about those of other targets."""


def _verified(question: Question, shuffled: Sequence[str], budget: float, shared: int) -> Verification:
    begun = time.perf_counter()
    ground, number, description, evidence = question.ground, question.number, question.description, question.evidence
    scorer, values = ground.scorer(number), ground.values[number]
    before = scorer.forwards
    known = [one for concept in (evidence.concepts if evidence else ()) for one in concept.examples if ground.readable(one.text)]
    rescored = [Example(one.text, float(value), one.source) for one, value in zip(known, scorer([e.text for e in known])[0], strict=True)]
    tops = [Example(ground.windows[at], float(values[at]), "corpus") for at in np.argsort(-values, kind="stable")[:TOPS].tolist()]
    free = question.searched(budget * SEARCH / 4, seed=ground.seed)
    best = _ordered([*rescored, *tops, *([free] if free else [])])
    fires, quiet = ground.levels(number, best[0].activation)
    if not best[0].activation > ground.usual(number):
        raise _ConstantError(f"{ground.targets[number]} is the same on all texts that were tried; give another corpus= or a larger budget=")
    predictions = [predict(ground, number, description, shuffled, judge, [one.text for one in known]) for judge in question.judges]
    high = [one for one in best if one.activation >= fires]
    said = question.fits([one.text for one in high]).mean(0)
    against = question.firing(fires, best[: 2 * TOPS], budget * SEARCH * 3 / 4, ground.seed + 1)
    best = _ordered([*best, *(Example(one.text, one.activation, one.source) for one in against)])
    fires, quiet = ground.levels(number, best[0].activation)  # a search for a counterexample may find a higher maximum
    found = [*(one for one in against if one.activation >= fires), *question.silent(quiet, high, int(budget * EDITS))]
    return Verification(
        model=ground.model.name,
        target=str(ground.targets[number]),
        description=description,
        best=best[0],
        fires=fires,
        silent=quiet,
        predictions=tuple(predictions),
        counterexamples=tuple(found),
        paraphrases=_firing_paraphrases(question, best[: 2 * TOPS]),
        members=_kept(question, question.members(ground.seed + 1)),
        fitting=float((said > YES).mean()),
        undecided=float(((said >= NO) & (said <= YES)).mean()),
        fitting_shuffled=_fitting(question.judges, shuffled[:2], [one.text for one in high]),
        corpus=ground.corpus.name,
        seed=ground.seed,
        forwards=scorer.forwards - before + len(ground.windows) / shared + budget * SEARCH,
        seconds=time.perf_counter() - begun,
    )


def _ordered(texts: list[Example]) -> list[Example]:
    """Texts by activation, the highest first."""
    return sorted(texts, key=lambda one: -one.activation)


def _fitting(judges: Sequence[Judge], descriptions: Sequence[str], texts: Sequence[str]) -> float:
    """The share of texts that the judges accept for descriptions of something else."""
    said = [np.mean([judge.scores(other, texts) for judge in judges], axis=0) > YES for other in descriptions]
    return float(np.mean(said)) if said else math.nan


def _firing_paraphrases(question: Question, texts: Sequence[Example]) -> tuple[int, int]:
    """How many paraphrases that the judges accept keep half of the activation of the text that they are made of, and how many there are."""
    pairs = question.paraphrases(texts)
    pairs = [pairs[at] for at in np.linspace(0, len(pairs) - 1, min(len(pairs), 48)).astype(int).tolist()]
    fits = (question.fits([text for _, text in pairs]) > YES).all(0)
    return _kept(question, [pairs[at] for at in np.flatnonzero(fits).tolist()])


def _kept(question: Question, pairs: Sequence[tuple[Example, str]]) -> tuple[int, int]:
    """How many texts keep half of the activation of the example that they belong to, and how many there are."""
    if not pairs:
        return 0, 0
    usual = question.ground.usual(question.number)
    values = question.ground.scorer(question.number)([text for _, text in pairs])[0]
    needed = np.array([usual + FIRES * (one.activation - usual) for one, _ in pairs])
    return int((values >= needed).sum()), len(pairs)
