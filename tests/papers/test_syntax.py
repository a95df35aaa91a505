import itertools
import subprocess
import sys

import numpy as np
import pytest

from optigram.papers.poerner2018.syntax import (
    Syntax,
    _bigrams,
    _bigrams_of,
    _contrasts,
    _optimal,
    _paired,
    _predicted_word,
    _shares,
    corpus_share,
    seen_bigrams,
)
from optigram.runs.records import Record
from optigram.study.statistics import Interval

SENTENCES = ["A dog under the umbrella.", "an umbrella and a dog", "dogs on the beach"]
TOKENS = ("<pad>", "a", "dog", "the", "beach")


def record(target: str, text: str, method: str = "gbl", activation: float = 1.0, seed: int = 0, rank: int = 1) -> Record:
    words = text.split()
    return Record("m", target, method, "", seed, rank, text, words, [3] * len(words), activation, None, True, 1.0, 0.0, 0.1, {})


RECORDS = [
    record("language:umbrella", "dog with an"),
    record("language:dog", "under a the"),
    record("language:beach", "umbrella on dog"),
    record("visual:dog", "dog dogs a"),
    record("visual:cat", "cat kitten cats"),
    record("visual:cat", "a the of", method="crp"),
]


def test_shares_are_counts():
    by_key = {(one.site, one.method): one for one in _shares(RECORDS)}
    assert {key: one.neurons for key, one in by_key.items()} == {("language", "gbl"): 3, ("visual", "gbl"): 2, ("visual", "crp"): 1}
    language = by_key["language", "gbl"]
    assert language.whole.value == pytest.approx((2 / 3 + 1 + 1 / 3) / 3)
    assert [place.value for place in language.positions] == pytest.approx([1 / 3, 1, 2 / 3])
    assert by_key["visual", "crp"].whole == Interval(1, 1, 1)


def wilson(count: int, total: int) -> tuple[float, float]:
    z = 1.959963984540054
    middle = (count + z * z / 2) / (total + z * z)
    half = z * np.sqrt(count * (total - count) / total + z * z / 4) / (total + z * z)
    return middle - half, middle + half


def test_positions_have_wilsons_intervals():
    one = _shares(RECORDS)[0].positions[2]
    assert (one.low, one.high) == pytest.approx(wilson(2, 3))


def test_the_interval_of_whole_texts_is_that_of_all_resamples():
    """With three neurons all 27 resamples can be written down; the bootstrap's quantiles are among them."""
    found = _shares(RECORDS)[0].whole
    means = np.mean(list(itertools.product([2 / 3, 1, 1 / 3], repeat=3)), axis=1)
    assert (found.low, found.high) == pytest.approx(np.quantile(means, [0.025, 0.975], method="inverted_cdf"))


def test_only_the_best_text_of_all_seeds_counts():
    worse, better = record("visual:dog", "a the of", activation=1.0, seed=1), record("visual:dog", "dog cat dog", activation=2.0, seed=2)
    second, lowest = record("visual:dog", "a a a", activation=3.0, rank=2), record("-visual:dog", "a a a", activation=9.0)
    assert _optimal([worse, better, second, lowest]) == [better]


def test_the_contrast_is_between_means():
    (found,) = _contrasts(RECORDS, corpus=0.5)
    assert found.method == "gbl"
    assert found.language.value == pytest.approx(1 / 6 - 2 / 3)
    assert found.corpus.value == pytest.approx(1 / 6 - 0.5)
    assert found.language.low < found.language.value < found.language.high


def test_a_method_beside_corpus_search_on_the_same_neurons():
    base = [record("visual:dog", "the dog on", method="crp"), record("language:dog", "a a dog", method="crp")]
    found = {one.site: one for one in _paired([*RECORDS, *base])}
    assert (found["visual"].neurons, found["visual"].baseline, found["visual"].share) == (2, pytest.approx(5 / 6), pytest.approx(1 / 6))
    assert found["visual"].difference.value == pytest.approx((1 / 3 - 2 / 3 + 0 - 1) / 2)
    assert (found["language"].neurons, found["language"].difference.value) == (1, pytest.approx(1 - 2 / 3))


def test_bigrams_that_are_kept_are_all_that_the_records_can_meet():
    assert _bigrams(RECORDS, seen_bigrams(RECORDS, SENTENCES)) == _bigrams(RECORDS, _bigrams_of(SENTENCES))


def test_sides_of_zero():
    assert [Interval(0, *ends).side() for ends in ((-2, -1), (1, 2), (-1, 1), (0, 1))] == ["below", "above", "undecided", "undecided"]


def test_the_corpus_is_counted():
    found = corpus_share(SENTENCES, np.array([[1, 2], [3, 4], [3, 2], [4, 2]]), TOKENS)
    assert found.ngrams == 3 / 8
    assert found.positions == (3 / 4, 0)
    assert found.vocabulary == 2 / 4
    assert found.running == 8 / 14  # a under the | an and a | on the


def test_bigrams_of_a_sentence_do_not_cross_its_end():
    assert _bigrams_of(["A dog. Barks", "the cat"]) == {("a", "dog"), ("dog", "barks"), ("the", "cat")}


def test_bigrams_beside_all_shufflings():
    (found,) = _bigrams(RECORDS, _bigrams_of(SENTENCES))
    pairs = [("an", "umbrella"), ("the", "dog"), ("dog", "beach")]  # seen: only the first
    assert (found.neurons, found.seen.value) == (3, 1 / 3)
    lasts, words = zip(*pairs, strict=True)
    rates = [
        np.mean([pair in _bigrams_of(SENTENCES) for pair in zip(lasts, order, strict=True)]) for order in itertools.permutations(words)
    ]
    assert found.chance.value == pytest.approx(np.mean(rates))
    assert found.chance.low == min(rates)
    assert found.chance.high == pytest.approx(max(rates))


@pytest.mark.parametrize(
    ("target", "word"),
    [
        ("language:umbrella", "umbrella"),
        ('language:"12"', "12"),
        ("language:12", None),
        ('language:"<end>"', None),
        ("language:umbrella@max", None),
        ("language:traffic light", None),
        ("-language:umbrella", None),
        ("visual:umbrella", None),
        ("language.hidden:3", None),
    ],
)
def test_which_word_a_target_predicts(target, word):
    assert _predicted_word(target) == word


def test_the_section_says_which_way_the_numbers_point():
    dogs = [record(f"visual:{i}", "dog cat dogs") for i in range(20)]
    words = [record(f"language:{word}", "under the a") for word in ["dog", "beach", "cat", "umbrella", "men", "women"]]
    share = corpus_share(SENTENCES, np.array([[1, 2, 3], [3, 4, 1]]), TOKENS)
    text = Syntax.of([*dogs, *words], share, _bigrams_of(SENTENCES)).section().replace("\\", "")
    row = next(line for line in text.splitlines() if line.startswith("| gbl | -1.00"))
    assert row == "| gbl | -1.00 [-1.00, -1.00] | below | -0.67 [-0.67, -0.67] | below |"
    assert "| visual | gbl | 20 | 0% [0%, 0%] | 0% [0%, 16%] |" in text


def test_no_method_but_on_one_path_gives_no_contrast():
    found = Syntax.of([record("visual:dog", "dog cat")], corpus_share(SENTENCES, np.array([[1, 2]]), TOKENS), set())
    assert not found.contrasts
    assert not found.bigrams
    assert found.section()


def test_it_needs_no_torch():
    code = "import sys, optigram.papers.poerner2018.syntax; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
