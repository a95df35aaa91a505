"""The paper's claims about the methods (section 5), each beside what was measured, with intervals and a verdict.

A verdict is the interval's, not ours: a claim holds where the 95% interval of the paired median difference lies on its
side of zero, fails where it lies on the other, and is undecided where zero is inside.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from optigram.methods import paper as presets
from optigram.papers.poerner2018.recipe import DIRECTIONS, FAIR, FAITHFUL, MODERN, PATHS, WEIGHTS
from optigram.report.comparisons import show
from optigram.report.formats import Grid
from optigram.runs.records import Record
from optigram.study.statistics import BASELINE, Comparison, against, compare, site_of, with_holm

ARMS = (FAITHFUL, FAIR, MODERN)
ABOVE, BELOW = "above", "below"
HOLDS, FAILS, UNDECIDED = "holds", "fails", "undecided"
PAPER_COSINE = 0.24  # paper, section 5: cosine between optimised embeddings and their nearest words


@dataclass(frozen=True)
class _Claim:
    """One claim about one path in one arm."""

    claim: str
    arm: str
    site: str
    comparison: Comparison
    side: str

    @property
    def verdict(self) -> str:
        """What the interval of the difference says."""
        low, high = self.comparison.difference.low, self.comparison.difference.high
        above, below = (low > 0, high < 0) if self.side == ABOVE else (high < 0, low > 0)
        return HOLDS if above else FAILS if below else UNDECIDED


def claims(records: Sequence[Record]) -> list[_Claim]:
    """gbl above crp; smx, logit and emb below crp; gbl above each of them: for every arm and path that has them."""
    made = []
    for arm in ARMS:
        for site in PATHS:
            here = [record for record in records if record.arm == arm and site_of(record) == site]
            names = {presets.parse(name).label: name for name in dict.fromkeys(record.method for record in here)}
            if {"gbl", BASELINE} <= set(names):
                made.append(_Claim("gbl is above crp", arm, site, against(here, names["gbl"], BASELINE), ABOVE))
                for label in ("smx", "logit", "emb"):
                    made.append(_Claim(f"{label} is below crp", arm, site, against(here, names[label], BASELINE), BELOW))
                    made.append(_Claim(f"gbl is above {label}", arm, site, against(here, names["gbl"], names[label]), ABOVE))
    corrected = with_holm([claim.comparison for claim in made])
    return [_Claim(claim.claim, claim.arm, claim.site, one, claim.side) for claim, one in zip(made, corrected, strict=True)]


def claims_grid(found: Sequence[_Claim]) -> Grid:
    """One row a claim, path and arm."""
    rows = [
        [
            claim.claim,
            claim.site,
            claim.arm,
            claim.verdict,
            show(claim.comparison.difference),
            show(claim.comparison.ratio),
            show(claim.comparison.wins, percent=True),
            f"{claim.comparison.holm:.2g}",
            str(claim.comparison.neurons),
        ]
        for claim in sorted(found, key=lambda claim: ARMS.index(claim.arm))
    ]
    header = ("claim", "path", "settings", "verdict", "median difference", "median ratio", "wins", "p (Wilcoxon, Holm)", "neurons")
    return Grid(header, rows, frozenset({4, 5, 6, 7, 8}))


def ranking(records: Sequence[Record], arm: str, site: str) -> list[str]:
    """Labels of an arm's methods by median ratio to crp, the best first, crp among them."""
    ratios = {BASELINE: 1.0}
    ratios |= {presets.parse(one.method).label: one.ratio.value for one in compare(records) if (one.arm, one.site) == (arm, site)}
    return sorted(ratios, key=lambda label: -ratios[label])


def placebo_grid(records: Sequence[Record]) -> Grid:
    """How far gbl gets above crp for neurons, and for placebos of the same indices."""
    rows = []
    for site in PATHS:
        placebo = [record for record in records if record.arm == DIRECTIONS and site_of(record) == site]
        targets = {record.target for record in placebo}
        for arm in (MODERN, DIRECTIONS, WEIGHTS):
            here = [record for record in records if record.arm == arm and record.target in targets]
            if here:
                one = against(here, "gbl", BASELINE)
                rows.append([site, "neurons" if arm == MODERN else arm, show(one.ratio), show(one.wins, percent=True), str(one.neurons)])
    return Grid(("path", "what was maximised", "gbl / crp, median", "beats crp", "of"), rows, frozenset({2, 3, 4}))
