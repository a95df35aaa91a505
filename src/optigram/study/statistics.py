"""What the records of a study say: every method paired with corpus search, neuron by neuron, with intervals.

Activations of different neurons or models are never pooled: each neuron is compared with itself, and what is averaged are
ratios, signs and ranks. Where a study has several seeds, a neuron's activation by a method is its median over them.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, TypeVar

import numpy as np
from scipy import stats

from optigram.runs.records import Record

BASELINE = "crp"
T = TypeVar("T")
K = TypeVar("K")
CONFIDENCE, RESAMPLES = 0.95, 4000


class Interval(NamedTuple):
    """An estimate with its 95% interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Comparison:
    """One method against another on the same neurons of one site.

    `ratio` is the median of the neurons' ratios (of those whose baseline is positive), `difference` the median of their
    differences in units of activation, `wins` the share of neurons on which the method is above the baseline (Wilson's
    interval). `p` is Wilcoxon's, two-sided, and `holm` the same after Holm's correction over the table it stands in.
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
    forwards: float  # median forward-equivalents of the method


def compare(records: Sequence[Record], baseline: str = BASELINE) -> list[Comparison]:
    """Every method of every arm and site against the baseline of the same arm, in the order of the records."""
    made = []
    for (arm, site), group in grouped(records, lambda record: (record.arm, site_of(record))).items():
        methods = list(dict.fromkeys(record.method for record in group))
        if baseline in methods:
            made += [_against(group, arm, site, method, baseline) for method in methods if method != baseline]
    return with_holm(made)


def with_holm(comparisons: Sequence[Comparison]) -> list[Comparison]:
    """The same comparisons with `holm` filled in for them as one family."""
    adjusted = _holm([one.p for one in comparisons])
    return [replace(one, holm=p) for one, p in zip(comparisons, adjusted, strict=True)]


def against(records: Sequence[Record], method: str, baseline: str) -> Comparison:
    """One method against another among records of one arm and site."""
    return _against(records, records[0].arm, site_of(records[0]), method, baseline)


def activations(records: Iterable[Record], method: str) -> dict[str, float]:
    """The best activation of each target by a method, the median over seeds."""
    found = grouped([record for record in records if record.method == method and record.rank == 1], lambda record: record.target)
    return {target: float(np.median([record.activation for record in group])) for target, group in found.items()}


def site_of(record: Record) -> str:
    """The site of a record's target; of a sum, that of its first term."""
    return site_of_address(record.target)


def site_of_address(target: str) -> str:
    """The site that an address names; of a sum, that of its first term."""
    return target.lstrip("-").split(":")[0].split("*")[-1].strip()


def median(values: Sequence[float] | np.ndarray, seed: int = 0) -> Interval:
    """The median with a percentile bootstrap interval over the values; all NaN for none."""
    if len(values) == 0:
        return Interval(math.nan, math.nan, math.nan)
    drawn = np.random.default_rng(seed).choice(np.asarray(values), (RESAMPLES, len(values)))
    low, high = np.quantile(np.median(drawn, axis=1), [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Interval(float(np.median(values)), float(low), float(high))


def share(count: int, total: int) -> Interval:
    """A share with Wilson's interval; all NaN of nothing."""
    if total == 0:
        return Interval(math.nan, math.nan, math.nan)
    interval = stats.binomtest(count, total).proportion_ci(CONFIDENCE, "wilson")
    return Interval(count / total, interval.low, interval.high)


def _wilcoxon(differences: np.ndarray) -> float:
    """The two-sided p of Wilcoxon's signed ranks; 1 where nothing differs."""
    return float(stats.wilcoxon(differences)[1]) if np.any(differences) else 1.0  # pyright: ignore[reportArgumentType]


def _holm(ps: Sequence[float]) -> list[float]:
    """Holm's step-down correction of p values, in their order."""
    order = np.argsort(ps, kind="stable")
    steps = np.asarray(ps)[order] * np.arange(len(ps), 0, -1)
    adjusted = np.empty(len(ps))
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0) if len(ps) else steps
    return adjusted.tolist()


def curve(records: Sequence[Record], method: str, baseline: str = BASELINE, points: int = 40) -> list[tuple[float, float, float, float]]:
    """Best so far over the neuron's best corpus text against forward-equivalents: (forwards, quartile, median, quartile).

    Only neurons with a positive baseline count; before its first text a neuron stands at nothing found, which is -inf.
    """
    base = activations(records, baseline)
    traces = [(record, np.asarray(record.trace, dtype=float)) for record in records if record.method == method and record.trace]
    traces = [(trace[:, 0], trace[:, 1] / base[record.target]) for record, trace in traces if base.get(record.target, 0) > 0]
    if not traces:
        return []
    first, last = (float(pick([forwards[at] for forwards, _ in traces])) for pick, at in ((min, 0), (max, -1)))
    made = []
    for at in np.geomspace(max(first, 1.0), max(last, 1.0), points):
        reached = [values[forwards <= at].max(initial=-np.inf) for forwards, values in traces]
        low, middle, high = np.quantile(reached, [0.25, 0.5, 0.75], method="lower")
        made.append((float(at), float(low), float(middle), float(high)))
    return made


def soft_gap(records: Iterable[Record], method: str) -> Interval:
    """The median of (soft - hard) / |soft|: how much of what the method believed of its best text is lost in words."""
    pairs = [(record.notes["soft"], record.activation) for record in records if record.method == method and "soft" in record.notes]
    return median([(soft - hard) / abs(soft) for soft, hard in pairs if soft])


def cosine(records: Iterable[Record], method: str) -> Interval:
    """The median over neurons of the mean cosine between the optimised embeddings and their nearest words."""
    return median([record.notes["cosine"] for record in records if record.method == method and "cosine" in record.notes])


def grouped(items: Iterable[T], key: Callable[[T], K]) -> dict[K, list[T]]:
    """Items by key, in the order in which the keys come."""
    found: dict[K, list[T]] = {}
    for item in items:
        found.setdefault(key(item), []).append(item)
    return found


def _against(records: Sequence[Record], arm: str, site: str, method: str, baseline: str) -> Comparison:
    ours, theirs = activations(records, method), activations(records, baseline)
    pairs = np.array([(ours[target], theirs[target]) for target in theirs if target in ours]).reshape(-1, 2)
    differences = pairs[:, 0] - pairs[:, 1]
    positive = pairs[pairs[:, 1] > 0]
    spent = [record.forwards + record.backwards for record in records if record.method == method and record.rank == 1]
    p = _wilcoxon(differences)
    return Comparison(
        arm,
        site,
        method,
        baseline,
        len(pairs),
        ratio=median(positive[:, 0] / positive[:, 1]),
        difference=median(differences),
        wins=share(int((differences > 0).sum()), len(pairs)),
        p=p,
        holm=p,
        forwards=float(np.median(spent)),
    )
