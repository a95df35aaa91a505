"""Statistics of records: every method paired with corpus search, neuron by neuron, with 95% intervals.

Activations of different neurons or models are never pooled: each neuron is compared with itself, and only ratios, signs and
ranks are averaged. Where a study has several seeds, a neuron's activation by a method is its median over them.
"""

import functools
import math
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, TypeVar

import numpy as np

from optigram.optimize.baseline import BASELINE
from optigram.optimize.notes import ENDS
from optigram.runs.records import Record

T = TypeVar("T")
K = TypeVar("K")
CONFIDENCE, RESAMPLES = 0.95, 4000
ALPHA = 1 - CONFIDENCE  # of a corrected p below which a difference counts
FEW = 10  # neurons below which a share is not given as a percentage


class Interval(NamedTuple):
    """An estimate with its 95% interval."""

    value: float
    low: float
    high: float

    def show(self, percent: bool = False) -> str:
        """An estimate and its interval, such as "1.18 [1.15, 1.20]"; the estimate alone where it has no interval."""
        if math.isnan(self.value):
            return "-"
        value, low, high = (f"{number:.0%}" if percent else f"{number:.2f}" for number in self)
        return value if math.isnan(self.low) else f"{value} [{low}, {high}]"

    @classmethod
    def mean(cls, values: Sequence[float] | np.ndarray, seed: int = 0) -> "Interval":
        """The mean with the same interval."""
        return cls.median(values, seed, np.mean)

    @classmethod
    def median(cls, values: Sequence[float] | np.ndarray, seed: int = 0, statistic: Callable[..., np.floating] = np.median) -> "Interval":
        """The median with a bias-corrected and accelerated (BCa) bootstrap interval over the values (Efron, 1987).

        All NaN of no value; one value has no interval, which is NaN. Where the acceleration is not defined, because the median
        does not depend on any single value, the interval is the percentile bootstrap's.
        """
        numbers = np.asarray(values, dtype=float)
        value = float(statistic(numbers)) if len(numbers) else math.nan
        if len(numbers) < 2:
            return cls(value, math.nan, math.nan)
        if (numbers == numbers[0]).all():
            return cls(value, value, value)
        low, high = _bootstrapped(tuple(numbers.tolist()), seed, statistic)
        return cls(value, low, high)

    @classmethod
    def share(cls, count: int, total: int) -> "Interval":
        """A share with Wilson's interval; all NaN of nothing."""
        if total == 0:
            return cls(math.nan, math.nan, math.nan)
        from scipy import stats  # it takes a second to import, for which no search should wait

        interval = stats.binomtest(count, total).proportion_ci(CONFIDENCE, "wilson")
        return cls(count / total, interval.low, interval.high)

    def side(self) -> str:
        """The side of zero on which an interval lies: "below", "above", or "undecided" if it contains zero."""
        return "below" if self.high < 0 else "above" if self.low > 0 else "undecided"


@dataclass(frozen=True)
class Comparison:
    """One method against another on the same neurons of one site.

    `ratio` is the median of the neurons' ratios (of those whose baseline is positive), `difference` the median of their
    differences in units of activation, `wins` the share of neurons on which the method is above the baseline (Wilson's
    interval). `p` is from Wilcoxon's signed-rank test, two-sided, and `holm` the same after Holm's correction over all
    comparisons of the table. `forwards` is the method's median total cost per neuron, in forward-equivalents. `positive` is the
    number of neurons that have a ratio, `seeds` the smallest and the largest number of seeds of a neuron, by the method or the baseline,
    whichever has more.
    """

    arm: str
    site: str
    method: str
    baseline: str
    neurons: int
    ratio: Interval
    difference: Interval
    wins: Interval
    p: float
    holm: float
    forwards: float
    positive: int
    seeds: tuple[int, int]

    def show_seeds(self) -> str:
        """The number of seeds: "3", or "1 to 3" where some neurons have more than others."""
        fewest, most = self.seeds
        return str(most) if fewest == most else f"{fewest} to {most}"

    def show_ratio(self) -> str:
        """The median ratio, and of how many neurons where some have none: "1.18 [1.15, 1.20] (n = 38)"."""
        return self.ratio.show() + (f" (n = {self.positive})" if self.positive < self.neurons else "")

    def verdict(self) -> str:
        """The side of zero on which the difference lies by its interval and by the corrected p together: "above", "below", "undecided"."""
        return self.difference.side() if self.holm < ALPHA else "undecided"

    def show_wins(self) -> str:
        """The neurons on which a method is above the baseline: "68% [62%, 73%]", or "2 of 3 [0.21, 0.94]" for fewer than 10 neurons."""
        if self.neurons >= FEW:
            return self.wins.show(percent=True)
        return (
            f"{round(self.wins.value * self.neurons)} of {self.neurons} [{self.wins.low:.2f}, {self.wins.high:.2f}]"
            if self.neurons
            else "-"
        )

    @staticmethod
    def adjusted(families: Sequence[Sequence[float] | np.ndarray]) -> list[tuple[float, float]]:
        """For the differences of each comparison of a family: p of Wilcoxon's signed-rank test, and the same after Holm's correction."""
        found = [_wilcoxon(np.asarray(one, dtype=float)) for one in families]
        return list(zip(found, _holm(found), strict=True))

    @staticmethod
    def with_holm(comparisons: "Sequence[Comparison]") -> "list[Comparison]":
        """The same comparisons with `holm` filled in for them as one family."""
        adjusted = _holm([one.p for one in comparisons])
        return [replace(one, holm=p) for one, p in zip(comparisons, adjusted, strict=True)]

    @classmethod
    def of(cls, records: Sequence[Record], method: str, baseline: str) -> "Comparison":
        """One method against another among records of one arm and site."""
        ours, theirs = activations(records, method), activations(records, baseline)
        pairs = np.array([(ours[target], theirs[target]) for target in theirs if target in ours]).reshape(-1, 2)
        differences = pairs[:, 0] - pairs[:, 1]
        positive = pairs[pairs[:, 1] > 0]
        firsts = [record for record in records if record.rank == 1]
        ran = {(record.target, record.method, record.seed) for record in firsts if record.target in ours and record.target in theirs}
        runs = Counter((target, name) for target, name, _ in ran)
        seeds = [max(runs[target, name] for name in (method, baseline)) for target in {target for target, _ in runs}] or [0]
        spent = [record.total_forwards for record in firsts if record.method == method]
        p = _wilcoxon(differences)
        return cls(
            records[0].arm,
            site_of(records[0].target),
            method,
            baseline,
            len(pairs),
            ratio=Interval.median(positive[:, 0] / positive[:, 1]),
            difference=Interval.median(differences),
            wins=Interval.share(int((differences > 0).sum()), len(pairs)),
            p=p,
            holm=p,
            forwards=float(np.median(spent)),
            positive=len(positive),
            seeds=(min(seeds), max(seeds)),
        )

    @staticmethod
    def soft_gap(records: Iterable[Record], method: str) -> Interval:
        """What is lost in discrete words at the end of a search: (soft - hard) / max(|soft|, |hard|), the median over neurons.

        Of a neuron the median over its seeds. The larger of the two is the scale, so that no small number is divided by.
        """
        made = grouped([one for one in records if one.method == method and one.rank == 1 and set(ENDS) <= set(one.notes)], _target)
        ends = [[(one.notes[ENDS[0]], one.notes[ENDS[1]]) for one in group] for group in made.values()]
        shares = [[(soft - hard) / max(abs(soft), abs(hard)) for soft, hard in group if soft or hard] for group in ends]
        return Interval.median([float(np.median(group)) for group in shares if group])

    @classmethod
    def all_of(cls, records: Sequence[Record], baseline: str = BASELINE) -> "list[Comparison]":
        """Every method of every arm and site against the baseline of the same arm, in the order of the records."""
        made = []
        for group in grouped(records, lambda record: (record.arm, site_of(record.target))).values():
            methods = list(dict.fromkeys(record.method for record in group))
            if baseline in methods:
                made += [cls.of(group, method, baseline) for method in methods if method != baseline]
        return cls.with_holm(made)


@functools.lru_cache(maxsize=4096)  # pages show one comparison in several places
def _bootstrapped(values: tuple[float, ...], seed: int, statistic: Callable[..., np.floating]) -> tuple[float, float]:
    """The bootstrap interval of a statistic, by the first method that is defined."""
    from scipy import stats

    low = high = math.nan
    for method in ("BCa", "percentile"):
        with warnings.catch_warnings(), np.errstate(invalid="ignore", divide="ignore"):
            warnings.simplefilter("ignore", stats.DegenerateDataWarning)
            rng, data = np.random.default_rng(seed), (np.array(values),)
            found = stats.bootstrap(data, statistic, n_resamples=RESAMPLES, confidence_level=CONFIDENCE, method=method, rng=rng)
        low, high = map(float, found.confidence_interval)
        if math.isfinite(low) and math.isfinite(high):
            break
    return low, high


def activations(records: Iterable[Record], method: str) -> dict[str, float]:
    """The best activation of each target by a method, the median over seeds."""
    found = grouped([record for record in records if record.method == method and record.rank == 1], lambda record: record.target)
    return {target: float(np.median([record.activation for record in group])) for target, group in found.items()}


def site_of(target: str) -> str:
    """The site that an address names; of a sum, that of its first term."""
    return target.lstrip("-").split(":")[0].split("*")[-1].strip()


def _target(record: Record) -> str:
    return record.target


def _wilcoxon(differences: np.ndarray) -> float:
    """The two-sided p of Wilcoxon's signed-rank test; 1 where nothing differs."""
    from scipy import stats

    return float(stats.wilcoxon(differences)[1]) if np.any(differences) else 1.0  # pyright: ignore[reportArgumentType]


def _holm(ps: Sequence[float]) -> list[float]:
    """Holm's step-down correction of p values, in their order."""
    order = np.argsort(ps, kind="stable")
    steps = np.asarray(ps)[order] * np.arange(len(ps), 0, -1)
    adjusted = np.empty(len(ps))
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0) if len(ps) else steps
    return adjusted.tolist()


def curve(records: Sequence[Record], method: str, baseline: str = BASELINE, points: int = 40) -> list[tuple[float, float, float, float]]:
    """Activation of the best text so far over the neuron's best corpus text, against forward-equivalents in all.

    Each point is (forwards, quartile, median, quartile) over the neurons with a positive baseline. The best text is the one of
    the highest value, which is the activation unless there are penalties. A method that starts from a corpus search starts at
    that search's cost; before its first text a neuron stands at -inf.
    """
    base = activations(records, baseline)
    traced = [record for record in records if record.method == method and record.trace and base.get(record.target, 0) > 0]
    traces = [(trace[:, 0], trace[:, 1] / base[record.target]) for record in traced if len(trace := np.array(record.total_trace))]
    if not traces:
        return []
    first, last = (float(pick([forwards[at] for forwards, _ in traces])) for pick, at in ((min, 0), (max, -1)))
    made = []
    for at in np.geomspace(max(first, 1.0), max(last, 1.0), points):
        places = [int(np.searchsorted(forwards, at, side="right")) for forwards, _ in traces]
        reached = [values[place - 1] if place else -np.inf for place, (_, values) in zip(places, traces, strict=True)]
        low, middle, high = np.quantile(reached, [0.25, 0.5, 0.75], method="lower")
        made.append((float(at), float(low), float(middle), float(high)))
    return made


def grouped(items: Iterable[T], key: Callable[[T], K]) -> dict[K, list[T]]:
    """Items by key, in the order in which the keys come."""
    found: dict[K, list[T]] = {}
    for item in items:
        found.setdefault(key(item), []).append(item)
    return found
