"""The report as one HTML file that needs no server and no network."""

import base64
import functools
import hashlib
import json
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined
from jinja2.utils import htmlsafe_json_dumps
from markupsafe import Markup

from optigram.errors import InputError
from optigram.files import written_whole
from optigram.optimize.baseline import BASELINE
from optigram.report.explained import Explained
from optigram.report.overview import colours_of, overview
from optigram.report.page_data import contents
from optigram.report.scan_data import add_places, scan_contents
from optigram.report.scan_overview import scan_overview
from optigram.runs.folder import RunFolder
from optigram.scanning.results import ScanTables
from optigram.study.evidence import Evidence

TARGETS = 500  # on a page of a scan alone
SCAN_LEAD = "Where in a corpus do these neurons fire most, and least? Activations are the model's own, at each token in its context."
STYLES = ("theme.css", "layout.css", "explained.css")
SCRIPTS = (
    "elements.js",
    "heat.js",
    "places.js",
    "concepts.js",
    "tests.js",
    "cards.js",
    "browser.js",
    "plots.js",
    "fronts.js",
    "neuron.js",
    "page.js",
)


def write_report(
    kept: RunFolder,
    evidence: Sequence[Evidence],
    path: Path,
    title: str | None = None,
    scan: ScanTables | None = None,
    explained: Explained | None = None,
) -> None:
    """Write the page of a run, with its evidence where there is any, the places of a scan, and what explains its neurons.

    Raises InputError for a scan or explanations of another model, or of none of the run's neurons.
    """
    with written_whole(path) as temporary:
        temporary.write_text(_page(kept, evidence, title, scan, explained), encoding="utf-8")


def write_scan_report(scan: ScanTables, path: Path, title: str, only: str | None = None) -> int:
    """Write the page of a scan: of at most 500 targets, those that a pattern such as `visual:p*` fits; returns how many.

    Raises InputError if there are none.
    """
    targets = _chosen(scan, only)
    with written_whole(path) as temporary:
        temporary.write_text(_scan_page(scan, targets, title), encoding="utf-8")
    return len(targets)


def _chosen(found: ScanTables, only: str | None) -> list[str]:
    """The targets that a page of a scan shows: those that a pattern such as `visual:p*` fits, and that have a place.

    One whose activations are all NaN or infinite has none. Raises InputError if no target is left.
    """
    known = [row["target"] for row in found.best]
    names = [target for target in known if only is None or fnmatchcase(target, only)]
    if not names:
        raise InputError(f"no target of the scan fits {only!r}; it has {len(known)} with a place, such as {known[0]}")
    return names[:TARGETS]


def _page(
    kept: RunFolder,
    evidence: Sequence[Evidence],
    title: str | None = None,
    scan: ScanTables | None = None,
    explained: Explained | None = None,
) -> str:
    """The page of a run. Without evidence it has no heat maps, substitutes or corpus examples; with a scan it has its places too.

    Everything that comes from a model or a user is escaped, and only the script with the given hash may run.
    """
    data = contents(kept, evidence)
    colours = colours_of([BASELINE, *(one["method"] for one in data["series"])])
    for one in data["series"]:
        one["colour"] = colours[one["method"]]
    told = overview(kept, evidence) | {"headline": [], "scanned": [], "scan_facts": {}}
    if scan is not None:
        names = add_places(kept, data["neurons"], scan)
        beside = scan_overview(scan, list(dict.fromkeys(names.values())), colours, kept.records, names)
        told |= {"scanned": beside["scanned"], "scan_facts": beside["scan_facts"]}
    if explained is not None:
        explained.add_to(kept, data["neurons"])
    penalised = any(value < activation for record in kept.records for _, activation, value in record.trace)
    name = title or kept.settings.get("name") or kept.folder.resolve().name
    return _rendered(data, kept.manifest, title=name, whole=kept.whole, penalised=penalised, **told)


def _scan_page(scan: ScanTables, targets: Sequence[str], title: str) -> str:
    """The page of some targets of a scan."""
    about = scan_overview(scan, targets, colours_of([BASELINE]))
    told = {
        "lead": SCAN_LEAD,
        "headline": about["headline"],
        "facts": about["scan_facts"],
        "scan_facts": {},
        "scanned": about["scanned"],
        "parts": [],
    }
    return _rendered(scan_contents(scan, targets), scan.about, title=title, whole=True, penalised=False, **told)


def _rendered(data: dict[str, Any], manifest: Mapping[str, Any], **told: Any) -> str:
    script = "\n".join(_part(name) for name in SCRIPTS)
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(_part("report.html.j2")).render(
        told
        | {
            "manifest": json.dumps(manifest, indent=2, ensure_ascii=False),
            "explained": any("explained" in neuron for neuron in data["neurons"]),
            "several_models": len({neuron["model"] for neuron in data["neurons"]}) > 1,
            "data": data,
            "json": _inert(data),
            "style": Markup("\n".join(_part(name) for name in STYLES)),
            "script": Markup(script),
            "script_hash": base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        }
    )


def _inert(data: Any) -> Markup:
    """JSON for a script element: no character of it can end the element or begin another."""
    return htmlsafe_json_dumps(data, functools.partial(json.dumps, ensure_ascii=False, separators=(",", ":"), allow_nan=False))


def _part(name: str) -> str:
    return (files("optigram.report") / "page" / name).read_text(encoding="utf-8")
