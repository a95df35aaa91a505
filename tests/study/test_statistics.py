"""Statistics against arithmetic done by hand or by another formula."""

import dataclasses
import itertools
import math
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optigram.runs.records import Record
from optigram.study import statistics

BLANK = Record("m", "language:a", "crp", "", 0, 1, "", [], [], 1.0, None, True, 10.0, 5.0, 0.0, {})


def record(target: str, method: str, activation: float, **others) -> Record:
    return dataclasses.replace(BLANK, target=target, method=method, activation=activation, **others)


RECORDS = [
    record(f"language:{name}", method, value)
    for method, values in (("crp", (1.0, 2.0, 4.0, -1.0)), ("gbl", (2.0, 3.0, 4.0, 1.0)))
    for name, value in zip("abcd", values, strict=True)
]


def test_a_comparison_pairs_each_neuron_with_itself():
    (one,) = statistics.Comparison.all_of(RECORDS)
    assert (one.method, one.baseline, one.site, one.neurons) == ("gbl", "crp", "language", 4)
    assert one.ratio.value == 1.5  # of 2, 1.5, 1; the neuron with a negative baseline has no ratio
    assert one.difference.value == 1.0  # of 1, 1, 0, 2
    assert one.wins.value == 0.75
    assert one.forwards == 15


def test_seeds_of_a_neuron_are_joined_by_their_median():
    three = [record("visual:1", "gbl", value, seed=seed) for seed, value in enumerate((1.0, 5.0, 2.0))]
    assert statistics.activations([*three, record("visual:1", "gbl", 99.0, rank=2)], "gbl") == {"visual:1": 2.0}


def test_arms_and_sites_are_never_mixed():
    other = [dataclasses.replace(one, arm="other", activation=2 * one.activation) for one in RECORDS]
    visual = [dataclasses.replace(one, target=one.target.replace("language", "-visual")) for one in RECORDS]
    found = statistics.Comparison.all_of([*RECORDS, *other, *visual])
    assert [(one.arm, one.site) for one in found] == [("", "language"), ("other", "language"), ("", "visual")]
    assert {one.ratio.value for one in found} == {1.5}


def test_wilson_interval_is_the_formula():
    found = statistics.Interval.share(7, 10)
    z = 1.959963984540054
    middle = (0.7 + z * z / 20) / (1 + z * z / 10)
    half = z / (1 + z * z / 10) * math.sqrt(0.7 * 0.3 / 10 + z * z / 400)
    assert found == pytest.approx((0.7, middle - half, middle + half))


def test_wilcoxon_counts_all_signs():
    """The exact two-sided p: the share of the 2^6 sign patterns whose rank sum is as extreme."""
    differences = np.array([1.0, 2.5, -0.5, 4.0, 3.0, 6.0])
    ranks = np.argsort(np.argsort(abs(differences))) + 1
    sums = [ranks[list(signs)].sum() for signs in itertools.product([False, True], repeat=6)]
    low = min(ranks[differences > 0].sum(), ranks[differences < 0].sum())
    assert statistics._wilcoxon(differences) == pytest.approx(2 * np.mean([total <= low for total in sums]))
    assert statistics._wilcoxon(np.zeros(4)) == 1


def test_holm_steps_down():
    assert statistics._holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert statistics._holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_keeps_the_order_and_lies_between_p_and_bonferroni(ps):
    found = statistics._holm(ps)
    assert all(p <= adjusted <= min(1, p * len(ps)) + 1e-12 for p, adjusted in zip(ps, found, strict=True))
    assert all(found[i] <= found[j] + 1e-12 for i in range(len(ps)) for j in range(len(ps)) if ps[i] <= ps[j])


def test_bootstrap_interval_of_a_median():
    """For 99 values the interval lies near the order statistics that the binomial gives."""
    found = statistics.Interval.median(np.arange(99.0))
    assert found.value == 49
    assert found.low == pytest.approx(39, abs=3)
    assert found.high == pytest.approx(59, abs=3)
    assert math.isnan(statistics.Interval.median([]).value)


def test_bca_interval_is_the_formula():
    """Efron (1987): quantiles of the bootstrap medians, shifted by bias z0 and acceleration a of the jackknife."""
    values = np.array([0.2, 0.9, 1.0, 1.4, 1.9, 2.1, 2.2, 3.7, 5.0, 9.0])
    rng = np.random.default_rng(0)
    drawn = np.median(rng.choice(values, (40_000, len(values))), axis=1)
    phi, inverse = NormalDist().cdf, NormalDist().inv_cdf
    z0 = inverse(((drawn < np.median(values)).mean() + (drawn <= np.median(values)).mean()) / 2)
    left_out = np.array([np.median(np.delete(values, i)) for i in range(len(values))])
    far = left_out.mean() - left_out
    a = (far**3).sum() / (6 * (far**2).sum() ** 1.5)
    expected = [np.quantile(drawn, phi(z0 + (z0 + z) / (1 - a * (z0 + z)))) for z in (inverse(0.025), inverse(0.975))]
    assert statistics.Interval.median(values)[1:] == pytest.approx(expected, abs=0.15)


@pytest.mark.parametrize("values", [[1.0, 2.0, 2.0, 2.0, 3.0], [1.0, 1.0, 1.0, 1.0, 4.0]])
def test_an_interval_where_no_single_value_moves_the_median_is_the_percentile_one(values):
    found = statistics.Interval.median(values)
    assert min(values) <= found.low <= found.value <= found.high <= max(values)


def test_one_value_has_no_interval_and_equal_values_a_sharp_one():
    assert statistics.Interval.median([2.0]) == pytest.approx((2.0, math.nan, math.nan), nan_ok=True)
    assert statistics.Interval.median([2.0, 2.0]) == (2.0, 2.0, 2.0)


def test_curve_is_the_best_so_far_over_the_baseline():
    traces = {"a": [(10.0, 1.0, 1.0), (100.0, 3.0, 3.0)], "b": [(20.0, 2.0, 2.0), (50.0, 4.0, 4.0), (200.0, 4.0, 4.0)]}
    base = [record("language:a", "crp", 1.0), record("language:b", "crp", 2.0)]
    found = statistics.curve([*base, *(record(f"language:{n}", "gbl", 0.0, trace=t) for n, t in traces.items())], "gbl", points=5)
    forwards = [point[0] for point in found]
    assert forwards == pytest.approx(np.geomspace(10, 200, 5))
    assert found[0][1] == -math.inf  # the second neuron has no text yet
    assert found[-1][1:] == (2.0, 2.0, 2.0)  # a: 3 / 1 and b: 4 / 2, by the lower one


def test_a_curve_is_the_activation_of_the_text_with_the_best_value():
    """Under a penalty the best text may have a lower activation than one before it."""
    trace = [(10.0, 5.0, -1.0), (100.0, 3.0, 2.0)]
    found = statistics.curve([record("language:a", "crp", 1.0), record("language:a", "gbl", 3.0, trace=trace)], "gbl", points=2)
    assert [point[2] for point in found] == [5.0, 3.0]


def test_a_curve_starts_at_the_cost_of_the_corpus_search():
    trace = [(2.0, 5.0, 5.0), (8.0, 6.0, 6.0)]
    made = record("language:a", "auto", 6.0, trace=trace, forwards=8.0, backwards=0.0, notes={"corpus_forwards": 1000.0})
    found = statistics.curve([record("language:a", "crp", 1.0), made], "auto", points=2)
    assert [point[0] for point in found] == pytest.approx([1002.0, 1008.0])
    (one,) = statistics.Comparison.all_of([record("language:a", "crp", 1.0), made])
    assert one.forwards == made.total_forwards == 1008.0


def test_the_gap_is_that_of_the_end_of_the_search():
    def ended(target, soft, hard, seed=0):
        return record(target, "emb", 9.0, seed=seed, notes={"soft": 0.01, "soft_at_end": soft, "hard_at_end": hard})

    made = [ended("language:a", 4.0, 3.0), ended("language:b", 0.1, -1.9), ended("language:c", 8.0, 6.0), ended("language:c", 8.0, 2.0, 1)]
    assert statistics.Comparison.soft_gap(made, "emb").value == pytest.approx(0.5)  # of 0.25, 2.0 / 1.9 and the mean of 0.25 and 0.75
    assert math.isnan(statistics.Comparison.soft_gap([record("language:a", "emb", 1.0, notes={"soft": 4.0})], "emb").value)


def test_a_verdict_needs_the_interval_and_the_corrected_p():
    above = statistics.Comparison.of(RECORDS, "gbl", "crp")
    assert above.difference.low > 0 or above.difference.value > 0
    clear = dataclasses.replace(above, difference=statistics.Interval(1.0, 0.5, 1.5))
    assert dataclasses.replace(clear, holm=0.04).verdict() == "above"
    assert dataclasses.replace(clear, holm=0.06).verdict() == "undecided"
    assert dataclasses.replace(clear, holm=0.04, difference=statistics.Interval(1.0, -0.5, 1.5)).verdict() == "undecided"


def test_neurons_that_drop_out_are_said():
    (one,) = statistics.Comparison.all_of(RECORDS)
    assert (one.neurons, one.positive, one.seeds) == (4, 3, (1, 1))
    assert one.show_ratio().endswith("(n = 3)")


def test_seeds_are_told_as_a_range_where_neurons_have_different_numbers():
    seeds = {"visual:a": (0, 1, 2), "visual:b": (0,)}
    ours = [record(target, "gbl", 2.0, seed=seed) for target, some in seeds.items() for seed in some]
    one = statistics.Comparison.of([*ours, *(record(target, "crp", 1.0) for target in seeds)], "gbl", "crp")
    assert (one.seeds, one.show_seeds()) == ((1, 3), "1 to 3")
