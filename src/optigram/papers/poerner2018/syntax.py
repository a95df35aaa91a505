"""The paper's syntax finding as numbers (section 5 shows examples): optimal n-grams of language neurons contain function words,
those of visual neurons content words, and a language neuron's n-gram leads up to the word that it predicts.

Everything is computed from the records of one arm of a study, whose model reads whole words; torch is not needed.
"""

import json
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from optigram.papers.poerner2018.function_words import CONTENT, class_of
from optigram.report.formats import Grid
from optigram.runs.records import Record
from optigram.shapes import Bool, Float, Int
from optigram.study.statistics import BASELINE, CONFIDENCE, RESAMPLES, Interval, grouped, site_of
from optigram.text.vocabulary import Vocabulary

LANGUAGE, VISUAL = "language", "visual"
PREDICTED = re.compile(rf'{LANGUAGE}:("(?:[^"\\]|\\.)*"|[^"@,]+)')  # read at the last position, which predicts the next word


@dataclass(frozen=True)
class _Share:
    """The share of function words in a method's optimal n-grams for the neurons of a site.

    `whole` is the mean share per n-gram, bootstrapped over neurons; `positions` is the share per position, with Wilson intervals.
    """

    site: str
    method: str
    neurons: int
    whole: Interval
    positions: tuple[Interval, ...]


@dataclass(frozen=True)
class CorpusShare:
    """The share of function words in the corpus's unique n-grams, per position, and in its running words.

    `vocabulary` is their share of the words the model knows, which words drawn at random would have.
    """

    ngrams: float
    positions: Sequence[float]
    running: float
    vocabulary: float


@dataclass(frozen=True)
class Contrast:
    """The share of a method's visual n-grams minus that of its language n-grams, and minus that of the corpus's n-grams."""

    method: str
    language: Interval
    corpus: Interval


@dataclass(frozen=True)
class _Paired:
    """The share of function words in a method's n-grams minus that in corpus search's n-grams of the same neurons of a site."""

    site: str
    method: str
    neurons: int
    baseline: float
    share: float
    difference: Interval


@dataclass(frozen=True)
class _Bigrams:
    """How often the last word and the word that the neuron predicts are a bigram of the corpus.

    `chance` is the rate with the predicted words permuted among the neurons: the mean over permutations, and the central 95%.
    """

    method: str
    neurons: int
    seen: Interval
    chance: Interval


@dataclass(frozen=True)
class Syntax:
    """All measures of one arm."""

    corpus: CorpusShare
    shares: Sequence[_Share]
    contrasts: Sequence[Contrast]
    paired: Sequence[_Paired]
    bigrams: Sequence[_Bigrams]

    @classmethod
    def of(cls, records: Sequence[Record], corpus: CorpusShare, bigrams: Collection[tuple[str, str]]) -> "Syntax":
        """Measure the records of one arm, beside a corpus: its shares, and which pairs of words are bigrams of it."""
        return cls(corpus, _shares(records), _contrasts(records, corpus.ngrams), _paired(records), _bigrams(records, bigrams))

    def section(self) -> str:
        """The finding as Markdown: four tables with explanations."""
        return "\n".join(
            [
                "## Function words in optimal n-grams\n",
                "The share of function words (a closed-class list: determiners, prepositions, pronouns, auxiliaries, conjunctions and the "
                "like) in the optimal n-grams, overall and per position, beside that of the corpus and of the vocabulary, from which the "
                "optimizers choose. Intervals are 95%: over neurons for whole n-grams (none if all neurons have the same share), Wilson's "
                "for positions.\n",
                _shares_grid(self).markdown(),
                "The paper's contrast: visual n-grams should have fewer function words than language n-grams, and fewer than the "
                "corpus's.\n",
                _contrasts_grid(self).markdown(),
                "The paper says that this is contrary to what corpus search suggests. So each neuron's n-gram beside the best n-gram of "
                "the corpus for the same neuron:\n",
                _paired_grid(self).markdown(),
                "How often the last word of a language neuron's n-gram and the word that it predicts are a bigram of the corpus. Chance: "
                "the same with the predicted words permuted among the neurons, mean and central 95% of the permutations.\n",
                _bigrams_grid(self).markdown(),
            ]
        )


def _optimal(records: Iterable[Record]) -> list[Record]:
    """The best text per method and target over all seeds, in the order of the records, without minimised targets."""
    first = [record for record in records if record.rank == 1 and not record.target.startswith("-")]
    by_target = grouped(first, lambda record: (record.method, record.target))
    return [max(group, key=lambda record: record.activation) for group in by_target.values()]


def corpus_share(sentences: Iterable[str], ngrams: Int[np.ndarray, "c t"], tokens: Sequence[str]) -> CorpusShare:
    """The shares of a corpus, of its sentences and its unique n-grams as ids of `tokens`: exact counts, hence without intervals."""
    marks = np.array([class_of(token) != CONTENT for token in tokens])[ngrams]
    running = [class_of(word) != CONTENT for sentence in sentences for word in Vocabulary.words_of(sentence)]
    known = [class_of(token) != CONTENT for token in tokens if Vocabulary.words_of(token) == [token]]
    return CorpusShare(float(marks.mean()), tuple(marks.mean(axis=0).tolist()), float(np.mean(running)), float(np.mean(known)))


def _shares(records: Iterable[Record]) -> list[_Share]:
    """One row per site and method."""
    groups = grouped(_optimal(records), lambda record: (site_of(record.target), record.method))
    found = []
    for (site, method), group in groups.items():
        marks = _marks(group)
        positions = tuple(Interval.share(int(column.sum()), len(column)) for column in marks.T)
        found.append(_Share(site, method, len(group), _mean(marks.mean(axis=1)), positions))
    return found


def _contrasts(records: Iterable[Record], corpus: float) -> list[Contrast]:
    """One row per method with optimal n-grams of both sites.

    Unit 7 of one layer is unrelated to unit 7 of the other, so the neurons of each layer are resampled independently.
    """
    groups = grouped(_optimal(records), lambda record: (site_of(record.target), record.method))
    means = {key: _marks(group).mean(axis=1) for key, group in groups.items()}
    found = []
    for method in dict.fromkeys(method for _, method in means):
        if (LANGUAGE, method) in means and (VISUAL, method) in means:
            language, visual = means[LANGUAGE, method], means[VISUAL, method]
            ours = _mean(visual)
            above = Interval(ours.value - corpus, ours.low - corpus, ours.high - corpus)
            found.append(Contrast(method, _difference(visual, language), above))
    return found


def _paired(records: Iterable[Record]) -> list[_Paired]:
    """One row per site and method besides corpus search, over the neurons that both have texts for."""
    groups = grouped(_optimal(records), lambda record: (site_of(record.target), record.method))
    found = []
    for (site, method), group in groups.items():
        base = {record.target: record for record in groups.get((site, BASELINE), ())}
        here = [record for record in group if record.target in base]
        if method != BASELINE and here:
            ours, theirs = (_marks(part).mean(axis=1) for part in (here, [base[record.target] for record in here]))
            found.append(_Paired(site, method, len(here), float(theirs.mean()), float(ours.mean()), _mean(ours - theirs)))
    return found


def seen_bigrams(records: Iterable[Record], sentences: Iterable[str]) -> set[tuple[str, str]]:
    """Of the pairs of a last word and a predicted word of the records, those that are adjacent in a sentence."""
    pairs = [(last, word) for _, last, word in _leading(records)]
    lasts, words = {last for last, _ in pairs}, {word for _, word in pairs}
    return {pair for pair in _bigrams_of(sentences) if pair[0] in lasts and pair[1] in words}


def _bigrams_of(sentences: Iterable[str]) -> set[tuple[str, str]]:
    """All pairs of adjacent words."""
    return {pair for sentence in sentences for pair in pairwise(Vocabulary.words_of(sentence))}


def _leading(records: Iterable[Record]) -> list[tuple[str, str, str]]:
    """Method, last word and predicted word of the optimal n-grams of language neurons that are named by words."""
    named = [(record, _predicted_word(record.target)) for record in _optimal(records)]
    return [(record.method, record.tokens[-1], word) for record, word in named if word is not None]


def _bigrams(records: Iterable[Record], known: Collection[tuple[str, str]]) -> list[_Bigrams]:
    """One row per method with optimal n-grams of language neurons that are named by words."""
    groups = grouped(_leading(records), lambda pair: pair[0])
    found = []
    for method, group in groups.items():
        seen = np.array([[(last, word) in known for _, _, word in group] for _, last, _ in group])
        found.append(_Bigrams(method, len(group), Interval.share(int(seen.trace()), len(group)), _shuffled(seen)))
    return found


def _predicted_word(target: str) -> str | None:
    """The word that a language neuron predicts at the last position; None for other targets, indices and special tokens."""
    match = PREDICTED.fullmatch(target)
    if match is None or match[1].isdecimal():
        return None
    name = json.loads(match[1]) if match[1].startswith('"') else match[1]
    return name if Vocabulary.words_of(name) == [name] else None


def _shares_grid(found: Syntax) -> Grid:
    corpus, places = found.corpus, range(1, len(found.corpus.positions) + 1)
    rows = [
        ["vocabulary", "each word once", "", f"{corpus.vocabulary:.0%}", *("" for _ in places)],
        ["corpus", "running words", "", f"{corpus.running:.0%}", *("" for _ in places)],
        ["corpus", "unique n-grams", "", f"{corpus.ngrams:.0%}", *(f"{value:.0%}" for value in corpus.positions)],
    ]
    for one in found.shares:
        cells = (interval.show(percent=True) for interval in (one.whole, *one.positions))
        rows.append([one.site, one.method, str(one.neurons), *cells])
    return Grid(("path", "method", "neurons", "all", *map(str, places)), rows, frozenset(range(2, 4 + len(places))))


def _contrasts_grid(found: Syntax) -> Grid:
    rows = []
    for one in found.contrasts:
        rows.append([one.method, *(cell for part in (one.language, one.corpus) for cell in (part.show(), part.side()))])
    header = ("method", "visual - language", "so visual is", "visual - corpus's n-grams", "so visual is")
    return Grid(header, rows, frozenset({1, 3}))


def _paired_grid(found: Syntax) -> Grid:
    rows = [
        [
            one.site,
            one.method,
            str(one.neurons),
            f"{one.share:.0%}",
            f"{one.baseline:.0%}",
            one.difference.show(percent=True),
            one.difference.side(),
        ]
        for one in found.paired
    ]
    header = ("path", "method", "neurons", "its share", "corpus search's", "difference, paired", "so it is")
    return Grid(header, rows, frozenset({2, 3, 4, 5}))


def _bigrams_grid(found: Syntax) -> Grid:
    rows = []
    for one in found.bigrams:
        apart = "above" if one.seen.value > one.chance.high else "below" if one.seen.value < one.chance.low else "undecided"
        rows.append([one.method, str(one.neurons), one.seen.show(percent=True), one.chance.show(percent=True), apart])
    return Grid(("method", "neurons", "seen in the corpus", "chance", "so it is"), rows, frozenset({1, 2, 3}))


def _marks(records: Sequence[Record]) -> Bool[np.ndarray, "n t"]:
    """Mark the function words of the records' free texts."""
    return np.array([[class_of(word) != CONTENT for word in record.text.split()] for record in records])


def _mean(values: Float[np.ndarray, " n"]) -> Interval:
    return _interval(float(values.mean()), _resampled(values, np.random.default_rng(0)))


def _difference(one: Float[np.ndarray, " n"], other: Float[np.ndarray, " m"]) -> Interval:
    """The difference of two means; both samples are resampled independently."""
    rng = np.random.default_rng(0)
    return _interval(float(one.mean() - other.mean()), _resampled(one, rng) - _resampled(other, rng))


def _resampled(values: Float[np.ndarray, " n"], rng: np.random.Generator) -> Float[np.ndarray, " r"]:
    return rng.choice(values, (RESAMPLES, len(values))).mean(axis=1)


def _shuffled(seen: Bool[np.ndarray, "n n"]) -> Interval:
    """The rate over permutations of the columns of `seen`; its mean is exact, since each word meets each text equally often."""
    rng, rows = np.random.default_rng(0), np.arange(len(seen))
    rates = np.array([seen[rows, rng.permutation(len(seen))].mean() for _ in range(RESAMPLES)])
    return _interval(float(seen.mean()), rates)


def _interval(value: float, drawn: Float[np.ndarray, " r"]) -> Interval:
    low, high = np.quantile(drawn, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Interval(value, float(low), float(high))
