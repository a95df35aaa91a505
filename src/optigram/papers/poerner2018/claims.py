"""The paper's claims about the methods (section 5), each beside what was measured, with intervals and a verdict.

A claim holds if the 95% interval of the paired median difference lies on its side of zero, fails if it lies on the other side, and
is undecided if it contains zero.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from optigram.methods import paper as presets
from optigram.papers.poerner2018.recipe import DIRECTIONS, FAIR, FAITHFUL, MODERN, PATHS, WEIGHTS
from optigram.report.comparisons import methods_grid
from optigram.report.formats import Grid
from optigram.runs.records import Record
from optigram.study.statistics import BASELINE, Comparison, site_of

ARMS = (FAITHFUL, FAIR, MODERN)
ABOVE, BELOW = "above", "below"
HOLDS, FAILS, UNDECIDED = "holds", "fails", "undecided"
COSINE = 0.24  # paper, section 5: cosine between optimised embeddings and their nearest words
SETTINGS = """
Settings: *faithful* are the authors' own, with each method's own budget; *fair* are theirs with the same forward-equivalents for
every method, restarts included; *modern* are ours, at equal forward-equivalents. The suffix of a method's name says by how much the
authors' runs were shortened (`/200`: 200 times fewer steps at a rate as much higher, 8 noise samples instead of 64). Intervals
are 95%, over neurons. A claim holds if the interval of its paired median difference lies on its side of zero.
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
        """Whether the interval of the difference supports the claim."""
        low, high = self.comparison.difference.low, self.comparison.difference.high
        above, below = (low > 0, high < 0) if self.side == ABOVE else (high < 0, low > 0)
        return HOLDS if above else FAILS if below else UNDECIDED


def page(records: Sequence[Record], about: str) -> list[str]:
    """The claims of the paper beside what these records show, as lines of Markdown; `about` names model and corpus."""
    orders = [f"- {arm}, {site}: {' > '.join(_ranking(records, arm, site))}" for arm in (FAITHFUL, FAIR, MODERN) for site in PATHS]
    return [
        "# The paper's claims, measured\n",
        about,
        SETTINGS,
        "## Which method finds the highest activations\n",
        _claims_grid(_claims(records)).markdown(),
        "The paper's ranking is gbl > crp > the others. Here, by median ratio to crp:\n",
        *orders,
        "\n## Every method against corpus search\n",
        methods_grid(records).markdown(),
        f"The paper reports a cosine of {COSINE} between emb's optimised embeddings and their nearest words.\n",
        "## Placebos\n",
        "The same search for random directions in place of neurons, and in a model that was never trained. If the ratio is as high there "
        "as for neurons, beating corpus search is no evidence of a neuron's meaning.\n",
        _placebo_grid(records).markdown(),
    ]


def _claims(records: Sequence[Record]) -> list[_Claim]:
    """gbl above crp; smx, logit and emb below crp; gbl above each of them: for each arm and path."""
    made = []
    for arm in ARMS:
        for site in PATHS:
            here = [record for record in records if record.arm == arm and site_of(record.target) == site]
            names = {presets.parse(name).label: name for name in dict.fromkeys(record.method for record in here)}
            if {"gbl", BASELINE} <= set(names):
                made.append(_Claim("gbl is above crp", arm, site, Comparison.of(here, names["gbl"], BASELINE), ABOVE))
                for label in ("smx", "logit", "emb"):
                    made.append(_Claim(f"{label} is below crp", arm, site, Comparison.of(here, names[label], BASELINE), BELOW))
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
            claim.comparison.ratio.show(),
            claim.comparison.wins.show(percent=True),
            f"{claim.comparison.holm:.2g}",
            str(claim.comparison.neurons),
        ]
        for claim in sorted(claims, key=lambda claim: ARMS.index(claim.arm))
    ]
    header = ("claim", "path", "settings", "verdict", "median difference", "median ratio", "wins", "p (Wilcoxon, Holm)", "neurons")
    return Grid(header, rows, frozenset({4, 5, 6, 7, 8}))


def _ranking(records: Sequence[Record], arm: str, site: str) -> list[str]:
    """Labels of an arm's methods, crp among them, by median ratio to crp, highest first."""
    ratios = {BASELINE: 1.0}
    ratios |= {presets.parse(one.method).label: one.ratio.value for one in Comparison.all_of(records) if (one.arm, one.site) == (arm, site)}
    return sorted(ratios, key=lambda label: -ratios[label])


def _placebo_grid(records: Sequence[Record]) -> Grid:
    """The ratio of gbl to crp for neurons, and for placebos of the same indices."""
    rows = []
    for site in PATHS:
        placebo = [record for record in records if record.arm == DIRECTIONS and site_of(record.target) == site]
        targets = {record.target for record in placebo}
        for arm in (MODERN, DIRECTIONS, WEIGHTS):
            here = [record for record in records if record.arm == arm and record.target in targets]
            if here:
                one = Comparison.of(here, "gbl", BASELINE)
                rows.append([site, "neurons" if arm == MODERN else arm, one.ratio.show(), one.wins.show(percent=True), str(one.neurons)])
    return Grid(("path", "targets", "gbl / crp, median", "beats crp", "of"), rows, frozenset({2, 3, 4}))
