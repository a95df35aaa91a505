"""Prediction: can a judge who reads a description tell texts that fire from those that do not? As areas under the ROC curve."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from optigram.explaining.ground import Ground
from optigram.explaining.judges import Judge
from optigram.explaining.texts import MARKS, Words
from optigram.explaining.verification import FEWEST, Auc, Prediction

EXAMPLES = 5  # corpus texts that stand for a description
FIRING, SILENT, MARKED = 30, 60, 12  # held-out texts at most, and texts with marked words
FEW_FIRING, FEW_SILENT, FEW_MARKED = 12, 16, 6  # the same for a slow judge
SHUFFLED, FEW_SHUFFLED = 6, 2  # other descriptions


class _Texts(NamedTuple):
    """Held-out texts of a target: those that fire, those that do not, and `examples` of those that fire, which are not among them."""

    firing: list[str]
    silent: list[str]
    examples: list[str]


def predict(
    ground: Ground,
    number: int,
    description: str,
    shuffled: Sequence[str],
    judge: Judge,
    left_out: Sequence[str],
    fuzzing: bool = True,
) -> Prediction:
    """Detection and fuzzing of a target by one judge, beside shuffled descriptions, random directions and examples alone.

    `left_out` are texts that the description was made from: no held-out text contains one. Without `fuzzing` it is NaN.
    """
    few = judge.slow
    texts = _held_out(ground, number, few, left_out)
    silent = judge.scores(description, texts.silent)
    detection = Auc.of(judge.scores(description, texts.firing), silent, ground.seed)
    others = [_detected(judge, other, texts) for other in shuffled[: FEW_SHUFFLED if few else SHUFFLED]]
    directions = [_detected(judge, description, _held_out(ground, row, few, ())) for row in ground.placebos(number)]
    examples = "texts such as: " + "; ".join(texts.examples)
    return Prediction(
        judge=judge.name,
        detection=detection,
        fuzzing=_fuzzed(ground, number, description, texts.firing[: FEW_MARKED if few else MARKED] if fuzzing else (), judge),
        shuffled=_mean(others),
        directions=_mean(directions),
        examples=_detected(judge, examples, texts) if texts.examples else np.nan,
        firing=len(texts.firing),
        silent=len(texts.silent),
    )


def _detected(judge: Judge, description: str, texts: _Texts) -> float:
    """The area alone."""
    firing, silent = judge.scores(description, texts.firing), judge.scores(description, texts.silent)
    return Auc.area(firing, silent)


def _held_out(ground: Ground, number: int, few: bool, left_out: Sequence[str]) -> _Texts:
    """The highest windows of the corpus that differ, and random ones among those that are silent."""
    fires, silent = ground.levels(number)
    values = ground.values[number]
    firing: list[str] = []
    for at in np.argsort(-values, kind="stable").tolist():
        text = ground.windows[at]
        if values[at] < fires or len(firing) == FIRING + EXAMPLES:
            break
        if not any(text in other or other in text for other in left_out) and all(_apart(text, other) for other in firing):
            firing.append(text)
    rng = ground.rng(number, "silent")
    quiet = np.flatnonzero(values <= silent)
    rng.shuffle(quiet)
    spare = EXAMPLES if len(firing) >= 2 * EXAMPLES + FEWEST else 0
    examples = firing[: 2 * spare : 2]
    rest = [text for text in firing if text not in examples]
    return _Texts(rest[: FEW_FIRING if few else FIRING], [ground.windows[at] for at in quiet[: FEW_SILENT if few else SILENT]], examples)


def _apart(text: str, other: str) -> bool:
    """Whether fewer than two thirds of the words are the same."""
    one, two = set(text.split()), set(other.split())
    return len(one & two) * 3 < 2 * min(len(one), len(two)) or one.isdisjoint(two)


def _fuzzed(ground: Ground, number: int, description: str, texts: Sequence[str], judge: Judge) -> Auc:
    """Of each firing text the word that adds most is marked, and another one: the judge should prefer the first."""
    scorer, rng = ground.scorer(number), ground.rng(number, "marks")
    split = [text.split() for text in texts]
    split = [words for words in split if len(words) > 2]
    without = [(words, place, " ".join(words[:place] + words[place + 1 :])) for words in split for place in range(len(words))]
    without = [one for one in without if ground.readable(one[2])]
    if not without:
        return Auc(np.nan, np.nan, np.nan)
    values = scorer([text for _, _, text in without])[0]
    right, wrong = [], []
    for words in split:
        left = {place: float(values[at]) for at, (own, place, _) in enumerate(without) if own is words}
        if len(left) < 2:
            continue
        most = min(left, key=lambda place: left[place])
        others = [place for place in left if place != most and words[place].lower() != words[most].lower()]
        others = [place for place in others if Words.content(words[place])] or others
        if others:
            right.append(_marking(words, most))
            wrong.append(_marking(words, int(rng.choice(others))))
    if not right:
        return Auc(np.nan, np.nan, np.nan)
    return Auc.of(judge.scores(description, right), judge.scores(description, wrong), ground.seed)


def _marking(words: Sequence[str], place: int) -> str:
    begin, end = MARKS
    return " ".join(f"{begin}{word}{end}" if at == place else word for at, word in enumerate(words))


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if np.isfinite(value)]
    return float(np.mean(known)) if known else float("nan")
