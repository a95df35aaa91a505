"""Omission scores (Kadar et al. 2017): how much a path's final state turns when one word of a sentence is left out.

omission(i, S) = 1 - cos(h(S), h(S without word i)), for every word of corpus sentences. Theirs is the state at an end symbol;
our model reads none, so h is the state after the last word. The scores check, without any optimization, what the optimal n-grams
show: the language path depends on function words, the visual path on content words.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import torch
from torch import Tensor

from optigram.errors import InputError
from optigram.models.imaginet import Imaginet
from optigram.papers.poerner2018.function_words import CLASSES, CONTENT, class_of
from optigram.papers.poerner2018.syntax import LANGUAGE, VISUAL, Contrast
from optigram.report.formats import Grid
from optigram.shapes import Bool, Float, Int
from optigram.study.statistics import CONFIDENCE, RESAMPLES, Interval
from optigram.text.vocabulary import UNKNOWN, Vocabulary

SITES = {path: f"{path}.hidden" for path in (LANGUAGE, VISUAL)}
FUNCTION = "function words"
FEWEST = 10  # words of a class for which a mean is shown
CHUNK = 1 << 24  # state values in memory at once
SENTENCES = 2000  # of the corpus


@dataclass(frozen=True)
class _Omissions:
    """Scores [n] in float64 of all words of some sentences, per path; `sentences` [n] is the sentence of each word."""

    words: Sequence[str]
    sentences: Int[np.ndarray, " n"]
    scores: dict[str, Float[np.ndarray, " n"]]


@dataclass(frozen=True)
class _ClassRow:
    """Words of one class: count, mean score on each path, and log(mean language / mean visual) bootstrapped over sentences."""

    name: str
    count: int
    language: float
    visual: float
    log_ratio: Interval


def _usable(model: Imaginet, texts: Sequence[str], count: int, seed: int = 0) -> list[str]:
    """Up to `count` different sentences of two or more words, all known to the model; drawn at random, in the order of `texts`."""
    known = set(model.vocabulary.tokens) - {UNKNOWN}
    fit = [text for text in dict.fromkeys(texts) if len(words := Vocabulary.words_of(text)) > 1 and known.issuperset(words)]
    if not fit:
        raise InputError("expected sentences of two or more words that the model knows, got none; give a corpus in the model's language")
    drawn = np.random.default_rng(seed).permutation(len(fit))[:count]
    return [fit[i] for i in sorted(drawn)]


def _omissions(model: Imaginet, sentences: Sequence[str]) -> _Omissions:
    """Scores of every word of `sentences` on both paths; each sentence has two or more words, all known."""
    words = [Vocabulary.words_of(sentence) for sentence in sentences]
    ids = [model.vocabulary.encode(sentence) for sentence in sentences]
    scores = {path: np.concatenate(_of_path(model, site, ids)) for path, site in SITES.items()}
    numbers = np.repeat(np.arange(len(words)), [len(each) for each in words])
    return _Omissions(list(chain.from_iterable(words)), numbers, scores)


def _by_class(found: _Omissions) -> list[_ClassRow]:
    """One row per class of at least `FEWEST` words, then all function words, then content words."""
    classes = np.array([class_of(word) for word in found.words])
    members = {name: rows for name in CLASSES if (rows := classes == name).sum() >= FEWEST}
    members |= {name: rows for name, rows in ((FUNCTION, classes != CONTENT), (CONTENT, classes == CONTENT)) if rows.any()}
    ratios = _log_ratios(found, list(members.values()))
    made = []
    for (name, rows), drawn in zip(members.items(), ratios.T, strict=True):
        language, visual = (float(found.scores[path][rows].mean()) for path in (LANGUAGE, VISUAL))
        made.append(_ClassRow(name, int(rows.sum()), language, visual, _interval(drawn)))
    return made


def _contrast(found: _Omissions) -> Interval:
    """Log ratio of function words minus that of content words: above 0 if language depends on function words more than visual.

    The difference of log ratios is independent of how much each path turns overall.
    """
    content = np.array([class_of(word) == CONTENT for word in found.words])
    if content.all() or not content.any():
        raise InputError("expected sentences with function words and content words, got only one kind; give more sentences")
    ratios = _log_ratios(found, [~content, content])
    return _interval(ratios[:, 0] - ratios[:, 1])


def _agreement(omitted: Interval, optimised: Sequence[Contrast]) -> list[str]:
    """Per method, whether its optimal n-grams and the omission scores agree."""
    expected = {"above": "below", "below": "above"}.get(omitted.side())  # the side of the visual share of function words
    lines = []
    for one in optimised:
        shown = one.language.side()
        verdict = "undecided" if expected is None or shown == "undecided" else "agree" if shown == expected else "disagree"
        lines.append(f"{one.method}: {verdict} (visual - language share of function words {one.language.show()})")
    return lines


@dataclass(frozen=True)
class OmissionTable:
    """Scores by class of all `words` of some `sentences`, and the contrast of function words and content words."""

    words: int
    sentences: int
    rows: Sequence[_ClassRow]
    contrast: Interval

    @classmethod
    def of(cls, model: Imaginet, texts: Sequence[str], count: int = SENTENCES) -> "OmissionTable":
        """The scores over up to `count` of the texts."""
        return cls._of(_omissions(model, _usable(model, texts, count)))

    @classmethod
    def _of(cls, found: _Omissions) -> "OmissionTable":
        return cls(len(found.words), len(np.unique(found.sentences)), _by_class(found), _contrast(found))

    @classmethod
    def from_json(cls, made: dict[str, Any]) -> "OmissionTable":
        """A table that was written as JSON."""
        rows = [_ClassRow(**row | {"log_ratio": Interval(*row["log_ratio"])}) for row in made["rows"]]
        return cls(made["words"], made["sentences"], rows, Interval(*made["contrast"]))

    def section(self, optimised: Sequence[Contrast]) -> str:
        """Scores by class, their contrast, and whether the optimal n-grams agree; as Markdown."""
        return "\n".join(
            [
                "## Omission scores\n",
                "1 - cosine between a path's final states with and without a word (Kadar et al. 2017), "
                f"over {self.words:,} words of {self.sentences:,} corpus sentences. Intervals are 95%, over sentences.\n",
                _classes_grid(self.rows).markdown(),
                f"Log ratio of function words minus that of content words: {self.contrast.show()} ({self.contrast.side()}). Above zero, "
                "the language path depends on function words more than the visual path does. Optimal n-grams of visual neurons should then "
                "have fewer of them:\n",
                *(f"- {line}" for line in _agreement(self.contrast, optimised)),
                "",
            ]
        )


def _classes_grid(rows: Sequence[_ClassRow]) -> Grid:
    cells = [[row.name, f"{row.count:,}", f"{row.language:.4f}", f"{row.visual:.4f}", row.log_ratio.show()] for row in rows]
    return Grid(("words", "count", "language", "visual", "log(language / visual)"), cells, frozenset({1, 2, 3, 4}))


def _of_path(model: Imaginet, site: str, ids: Sequence[Sequence[int]]) -> list[Float[np.ndarray, " s"]]:
    """Scores of the words of each sentence, in order; run in chunks of similar lengths."""
    order = sorted(range(len(ids)), key=lambda number: -len(ids[number]))
    scores: list[np.ndarray] = [np.empty(0)] * len(ids)
    while order:
        size = max(CHUNK // ((len(ids[order[0]]) + 1) * model.sites[site].width), 1)
        chunk, order = order[:size], order[size:]
        states = _without_each(model, site, [ids[number] for number in chunk])
        cosines = torch.nn.functional.cosine_similarity(states[:, :1].double(), states[:, 1:].double(), dim=-1)
        for row, number in zip((1 - cosines).clamp(min=0).cpu().numpy(), chunk, strict=True):
            scores[number] = row[: len(ids[number])]
    return scores


def _without_each(model: Imaginet, site: str, ids: Sequence[Sequence[int]]) -> Float[Tensor, "b s1 h"]:
    """Final states of texts, longest first: row 0 of each with all words, row 1+i without word i (zero beyond its words).

    All advance through time together; the state without word i starts as a copy of the full text's state before word i.
    """
    lengths = [len(text) for text in ids]
    states = model.embedding.new_zeros(len(ids), lengths[0] + 1, model.sites[site].width)
    with torch.no_grad():
        for time in range(lengths[0]):
            going = sum(length > time for length in lengths)
            states[:going, time + 1] = states[:going, 0]
            words = torch.tensor([text[time] for text in ids[:going]], device=states.device).repeat_interleave(time + 1)
            _, after = model.read_on(words[:, None], {site: states[:going, : time + 1].flatten(0, 1)}, [site])
            states[:going, : time + 1] = after[site].unflatten(0, (going, time + 1))
    return states


def _log_ratios(found: _Omissions, members: Sequence[Bool[np.ndarray, " n"]]) -> Float[np.ndarray, "r1 m"]:
    """log(mean language / mean visual) of some sets of words: row 0 of the sentences themselves, other rows of resamples.

    Words of a sentence share its state, so whole sentences are resampled. A resample without such words is NaN.
    """
    total = int(found.sentences[-1]) + 1
    columns = [np.bincount(found.sentences[rows], found.scores[path][rows], total) for path in SITES for rows in members]
    sums, rng = np.stack(columns, axis=1), np.random.default_rng(0)
    drawn = [rng.multinomial(total, np.full(total, 1 / total)) @ sums for _ in range(RESAMPLES)]
    language, visual = np.split(np.stack([sums.sum(axis=0), *drawn]), 2, axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log(language / visual)


def _interval(drawn: Float[np.ndarray, " r1"]) -> Interval:
    """The first value, with the central 95% of the others."""
    low, high = np.nanquantile(drawn[1:], [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Interval(float(drawn[0]), float(low), float(high))
