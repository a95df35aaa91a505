"""The paper's claims about the methods (section 5), each beside what was measured, with intervals and a verdict.

A claim holds if the 95% interval of the paired median difference lies on its side of zero and the p of Wilcoxon's test, corrected
for all claims of the table, is below 0.05; it fails if they show the other side; else it is undecided. A group of fewer than 40
neurons gets no verdict.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from optigram.papers.poerner2018.measures import Measures
from optigram.papers.poerner2018.recipe import DIRECTIONS, FAIR, FAITHFUL, FULL, MODERN, PATHS, WEIGHTS
from optigram.report.comparisons import methods_grid
from optigram.report.formats import Grid
from optigram.runs.records import Record
from optigram.shapes import Float
from optigram.study.statistics import BASELINE, Comparison, Interval, grouped, site_of

ARMS = (FAITHFUL, *FULL, FAIR, MODERN)
FIGURES = {MODERN: "figure1", FAITHFUL: "figure1-faithful", FAIR: "figure1-fair"}  # Figure 1 of the paper, for each of these arms
ABOVE, BELOW = "above", "below"
SIDES = {"gbl": ABOVE, "smx": BELOW, "logit": BELOW, "emb": BELOW}  # of crp, as the paper has it
HOLDS, FAILS, UNDECIDED = "holds", "fails", "undecided"
LEAST = 40  # neurons of a group that gets a verdict
FEW = f"none: fewer than {LEAST} neurons"
COSINE = 0.24  # paper, section 5: cosine between optimised embeddings and their nearest words
SETTINGS = f"""
Settings: *faithful* are the authors' own, with each method's own budget, in shortened runs; *full length* are the same as long as the
authors ran them; *fair* are theirs with the same forward-equivalents for every method, restarts included; *modern* are ours, at equal
forward-equivalents. `/200` in a name: the authors' epochs of 200 steps have one step, at a rate and a cooling as much higher, and gbl
has 8 noise samples instead of 64. emb's epochs have 20 steps, so for emb it is 20 steps to one. Intervals are 95%, over neurons; of a
neuron with several seeds the median counts. A claim holds if the interval of its paired median difference lies on its side of zero
and its p, corrected for all claims of the table, is below 0.05; it fails if both show the other side. A group of fewer than {LEAST}
neurons gets no verdict. "n =" stands where neurons drop out of a ratio, because the corpus has no n-gram with a positive activation.
"""


@dataclass(frozen=True)
class _Claim:
    """One claim about one path in one arm; it claims that the difference is on `side` of zero."""

    claim: str
    arm: str
    site: str
    comparison: Comparison
    side: str

    @property
    def verdict(self) -> str:
        """Whether interval and corrected p of the difference support the claim."""
        return verdict(self.comparison, self.side)


def verdict(comparison: Comparison, side: str) -> str:
    """Whether a comparison supports the claim that its difference is on `side` of zero."""
    if comparison.neurons < LEAST:
        return FEW
    found = comparison.verdict()
    return HOLDS if found == side else UNDECIDED if found == UNDECIDED else FAILS


def drawn(records: Sequence[Record]) -> list[str]:
    """The arms that have a figure of their own, in the order of the page."""
    found = {record.arm for record in records}
    return [arm for arm in FIGURES if arm in found]


def label_of(method: str) -> str:
    """The method of a name such as "emb:faithful/200", without its variant."""
    return method.partition(":")[0]


def page(records: Sequence[Record], measures: Measures) -> list[str]:
    """The claims of the paper beside what these records show, as lines of Markdown."""
    orders = [f"- {arm}, {site}: {' > '.join(order)}" for arm in ARMS for site in PATHS if (order := _ranking(records, arm, site))]
    return [
        "# The paper's claims, measured\n",
        measures.about,
        *_training(measures.model),
        SETTINGS,
        *(f"![{arm}: activations by method, divided by the best of the corpus]({FIGURES[arm]}-normalised.svg)\n" for arm in drawn(records)),
        "## Which method finds the highest activations\n",
        _claims_grid(_claims(records)).markdown(),
        "The paper's ranking is gbl > crp > the others. Here, by median ratio to crp:\n",
        *orders,
        "\n## Every method against corpus search\n",
        methods_grid(records).markdown(),
        "The gap is (soft - hard) / max(|soft|, |hard|) at the end of a search: what the soft text loses when it becomes words.\n",
        *_shortened(records),
        "## How near emb's embeddings are to words\n",
        f"The paper reports a cosine of {COSINE} between emb's optimised embeddings and their nearest words. A cosine means something only "
        f"above that of a random direction: the largest cosine of one with any of this model's {measures.words:,} words in "
        f"{measures.width} dimensions is {measures.cosine.show()} (median and central 95% of directions).\n",
        _cosine_grid(records, measures.cosine).markdown(),
        "## Placebos\n",
        "The same search for random directions in place of neurons, and in a model that was never trained. If the ratio is as high there "
        "as for neurons, beating corpus search is no evidence of a neuron's meaning.\n",
        placebos.markdown() if (placebos := _placebo_grid(records)).rows else "Not run here.\n",
    ]


def _training(model: dict[str, Any]) -> list[str]:
    """How well the model was trained, as a sentence per split; empty where nothing is known of it."""
    lines = []
    for split in ("validation", "test"):
        found = model.get(split) or {}
        if found.get("visual") is not None:  # the visual path was trained
            recall = ", ".join(f"{share:.2f} at {k}" for k, share in found["recall"].items())
            lines.append(
                f"\n{split.capitalize()} ({model['captions'][split]:,} captions; {model['captions']['train']:,} were trained on; epoch "
                f"{model['validation']['epoch']}): language {found['language']:.3f} nats per word (perplexity {found['perplexity']:.1f}), "
                f"visual cosine {found['visual']:.3f}, recall of the image {recall}."
            )
    return lines


def _claims(records: Sequence[Record]) -> list[_Claim]:
    """gbl above crp; smx, logit and emb below crp; gbl above each of them: for each arm and path, as far as there are records."""
    made = []
    for arm in ARMS:
        for site in PATHS:
            here = [record for record in records if record.arm == arm and site_of(record.target) == site]
            names = {label_of(name): name for name in dict.fromkeys(record.method for record in here)}
            for label in SIDES:
                if label in names and BASELINE in names:
                    compared = Comparison.of(here, names[label], BASELINE)
                    made.append(_Claim(f"{label} is {SIDES[label]} crp", arm, site, compared, SIDES[label]))
                if label != "gbl" and {"gbl", label} <= set(names):
                    made.append(_Claim(f"gbl is above {label}", arm, site, Comparison.of(here, names["gbl"], names[label]), ABOVE))
    corrected = Comparison.with_holm([claim.comparison for claim in made])
    return [_Claim(claim.claim, claim.arm, claim.site, one, claim.side) for claim, one in zip(made, corrected, strict=True)]


def _claims_grid(claims: Sequence[_Claim]) -> Grid:
    """One row per claim, path and arm."""
    rows = [
        [
            claim.claim,
            claim.site,
            claim.arm,
            claim.verdict,
            claim.comparison.difference.show(),
            claim.comparison.show_ratio(),
            claim.comparison.wins.show(percent=True),
            f"{claim.comparison.holm:.2g}",
            str(claim.comparison.neurons),
            claim.comparison.show_seeds(),
        ]
        for claim in sorted(claims, key=lambda claim: -ARMS.index(claim.arm))
    ]
    header = ("claim", "path", "settings", "verdict", "median difference", "median ratio", "wins", "p (Wilcoxon, Holm)", "neurons", "seeds")
    return Grid(header, rows, frozenset(range(4, 10)))


def _ranking(records: Sequence[Record], arm: str, site: str) -> list[str]:
    """Labels of an arm's methods, crp among them, by median ratio to crp, highest first; empty where there is no method."""
    ratios = {label_of(one.method): one.ratio.value for one in Comparison.all_of(records) if (one.arm, one.site) == (arm, site)}
    return sorted({BASELINE: 1.0} | ratios, key=lambda label: -({BASELINE: 1.0} | ratios)[label]) if ratios else []


def _shortened(records: Sequence[Record]) -> list[str]:
    """How far a shortened run stands in for one of full length, on the same neurons; empty where there are none."""
    rows = []
    for site in PATHS:
        here = [record for record in records if record.arm in (FAITHFUL, *FULL) and site_of(record.target) == site]
        for whole in dict.fromkeys(record.method for record in here if record.arm in FULL and record.method != BASELINE):
            short = next((record.method for record in here if record.method.startswith(f"{whole}/")), None)
            if short is not None:
                one = Comparison.of(here, whole, short)
                spent = [float(np.median([r.total_forwards for r in here if r.method == name])) for name in (short, whole)]
                shown = (one.show_ratio(), one.difference.show(), one.wins.show(percent=True), *(f"{value:,.0f}" for value in spent))
                rows.append([site, whole, *shown, str(one.neurons)])
    if not rows:
        return []
    header = ("path", "full length", "full / shortened, median", "difference", "full is higher", "f.e. shortened", "f.e. full", "neurons")
    return [
        "## Shortened runs beside full length\n",
        "The authors' settings in runs of full length, against the shortened runs (`/200`) on the same neurons.\n",
        Grid(header, rows, frozenset(range(2, 8))).markdown(),
    ]


def cosines(records: Sequence[Record]) -> dict[tuple[str, str, str], Float[np.ndarray, " n"]]:
    """emb's cosine with the nearest words by arm, path and method: of each neuron the median over its seeds."""
    noted = [record for record in records if "cosine" in record.notes and record.rank == 1]
    found = {}
    for key, group in grouped(noted, lambda one: (one.arm, site_of(one.target), one.method)).items():
        neurons = grouped(group, lambda one: one.target).values()
        found[key] = np.array([float(np.median([one.notes["cosine"] for one in seeds])) for seeds in neurons])
    return found


def _cosine_grid(records: Sequence[Record], random: Interval) -> Grid:
    rows = [
        [*key, Interval.median(found).show(), Interval.median(found - random.value).show(), str(len(found))]
        for key, found in cosines(records).items()
    ]
    return Grid(("settings", "path", "method", "cosine", "above a random direction's", "neurons"), rows, frozenset({3, 4, 5}))


def _placebo_grid(records: Sequence[Record]) -> Grid:
    """The ratio of gbl to crp for neurons, and for placebos of the same indices."""
    rows = []
    for site in PATHS:
        placebo = [record for record in records if record.arm == DIRECTIONS and site_of(record.target) == site]
        targets = {record.target for record in placebo if record.method == "gbl"}
        for arm in (MODERN, DIRECTIONS, WEIGHTS):
            here = [record for record in records if record.arm == arm and record.target in targets]
            if {"gbl", BASELINE} <= {record.method for record in here}:
                one = Comparison.of(here, "gbl", BASELINE)
                rows.append([site, "neurons" if arm == MODERN else arm, one.show_ratio(), one.wins.show(percent=True), str(one.neurons)])
    return Grid(("path", "targets", "gbl / crp, median", "beats crp", "of"), rows, frozenset({2, 3, 4}))
