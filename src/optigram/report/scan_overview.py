"""The overview of a scan: what was read, how far the highest activations stand out, and texts of a run beside them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup

from optigram.optimize.baseline import BASELINE
from optigram.report import charts
from optigram.report.comparisons import duration
from optigram.report.overview import ratios
from optigram.runs.records import Record
from optigram.scanning.results import ScanFolder, ScanTables
from optigram.study.statistics import grouped, site_of


@dataclass(frozen=True)
class _Scanned:
    """One site of a scan: the number of its targets on the page, and its charts by title."""

    site: str
    neurons: int
    drawings: Mapping[str, Markup]


def scan_overview(
    found: ScanTables,
    targets: Sequence[str],
    colours: Mapping[str, str],
    records: Sequence[Record] = (),
    names: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """The `headline`, `scan_facts` and `scanned` panels (one per site) of some targets of a scan.

    With the records of a run, `names` maps their targets to those of the scan.
    """
    panels = _panels(found, targets, colours, records, names or {})
    return {"headline": _headline(found), "scan_facts": _facts(found), "scanned": panels}


def _facts(found: ScanTables) -> dict[str, str]:
    """What was read, a few words per fact."""
    about = found.about
    shards = about["shards"]
    told = {
        "model": about["scan"]["model"],
        "corpus": ", ".join(source["path"].rpartition("/")[2] for source in about["scan"]["sources"]),
        "documents": f"{about['documents']:,}",
        "tokens": f"{about['tokens']:,}",
        "targets": f"{len(found):,}",
        "question": ScanFolder.question(found.about["scan"]["settings"]),
        "shards": "" if len(shards["done"]) == shards["of"] else f"{len(shards['done'])} of {shards['of']}",
        "left out": found.left_out,
        "time": f"{duration(about['seconds'])} of one process",
        "made by": ", ".join(f"{name} {about['scan']['versions'][name]}" for name in ("optigram", "torch")),
    }
    return {name: value for name, value in told.items() if value}


def _headline(found: ScanTables) -> list[tuple[str, str]]:
    """Figures, and their meanings."""
    far = [value for values in _far(found, list(found)).values() for value in values.values()]
    told = [
        (f"{len(found):,}", "targets, all of them in one pass over the corpus"),
        (f"{found.about['tokens']:,}", f"tokens of {found.about['documents']:,} documents"),
    ]
    if far:
        told.append((f"{np.median(far):.1f} sd", "above its mean is the highest place of the median target"))
    return told


def _panels(
    found: ScanTables, targets: Sequence[str], colours: Mapping[str, str], records: Sequence[Record], names: Mapping[str, str]
) -> list[_Scanned]:
    """A panel per site; with records also their activations over the best place of the corpus."""
    curves = grouped(found.curve.to_pylist(), lambda row: row["target"])
    highest = dict(zip(found, found.targets["highest"].to_pylist(), strict=True))
    made = []
    for site, here in grouped(targets, site_of).items():
        mine = [record for record in records if names.get(record.target) in here]
        base = {record.target: highest[names[record.target]] for record in mine}
        over = ratios(mine, list(dict.fromkeys(record.method for record in mine)), base)
        levels = {method: float(np.median(list(values.values()))) for method, values in over.items() if values}
        # the smallest parts of a corpus may have no place for some target
        rows = [[row for row in curves[target] if math.isfinite(row["highest"])] for target in here]
        least = min(map(len, rows))
        sizes, best = [row["tokens"] for row in rows[0][-least:]], [[row["highest"] for row in one[-least:]] for one in rows]
        drawn = {
            "Texts against the best place of the corpus": charts.boxes(over, colours, "activation / best place of the corpus", site),
            "How far the highest place stands out": charts.boxes(
                _far(found, here), {site: colours[BASELINE]}, "standard deviations above the mean", site, rule=None
            ),
            "What a larger corpus would bring": charts.growth(
                sizes, best, levels, colours, "tokens of the corpus: a random half, a quarter, ...", site
            ),
        }
        made.append(_Scanned(site, len(here), {name: one for name, one in drawn.items() if one is not None}))
    return made


def _far(found: ScanTables, targets: Sequence[str]) -> dict[str, dict[str, float]]:
    """By site and target: the standard deviations of the highest place above the mean; none for n-grams alone."""
    rows = [row for row in found.targets.to_pylist() if 0 < row["variance"] < math.inf and row["highest"] is not None]
    known = {row["target"]: (row["highest"] - row["mean"]) / math.sqrt(row["variance"]) for row in rows}
    return {site: {target: known[target] for target in here if target in known} for site, here in grouped(targets, site_of).items()}
