"""The report as one HTML file that needs no server and no network."""

import base64
import functools
import hashlib
import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined
from jinja2.utils import htmlsafe_json_dumps
from markupsafe import Markup

from optigram.errors import InputError
from optigram.files import written_whole
from optigram.optimize.baseline import BASELINE
from optigram.report.overview import colours_of, facts, headline, parts_of
from optigram.report.page_data import contents
from optigram.report.scan_data import bare, places, scan_contents
from optigram.report.scan_overview import scan_facts, scan_headline, scanned
from optigram.runs.folder import RunFolder
from optigram.scanning.results import ScanResults
from optigram.study.evidence import Evidence

STYLES = ("theme.css", "layout.css")
SCRIPTS = ("elements.js", "heat.js", "places.js", "browser.js", "plots.js", "fronts.js", "neuron.js", "page.js")


def write_report(
    kept: RunFolder, evidence: Sequence[Evidence], path: Path, title: str | None = None, scan: ScanResults | None = None
) -> None:
    """Write the page of a run, with its evidence where there is any, and with the places of a scan.

    Raises InputError for a scan of another model, or of none of the run's neurons.
    """
    with written_whole(path) as temporary:
        temporary.write_text(_page(kept, evidence, title, scan), encoding="utf-8")


def write_scan_report(scan: ScanResults, targets: Sequence[str], path: Path, title: str) -> None:
    """Write the page of some targets of a scan."""
    with written_whole(path) as temporary:
        temporary.write_text(_scan_page(scan, targets, title), encoding="utf-8")


def _page(kept: RunFolder, evidence: Sequence[Evidence], title: str | None = None, scan: ScanResults | None = None) -> str:
    """The page of a run. Without evidence it has no heat maps, substitutes or corpus examples; with a scan it has its places too.

    Everything that comes from a model or a user is escaped, and only the script with the given hash may run.
    """
    data = contents(kept, evidence)
    colours = colours_of([BASELINE, *(one["method"] for one in data["series"])])
    for one in data["series"]:
        one["colour"] = colours[one["method"]]
    names = {} if scan is None else _joined(kept, data["neurons"], scan)
    return _rendered(
        data,
        title=title or kept.settings.get("name") or kept.folder.resolve().name,
        whole=kept.whole,
        headline=headline(kept.records),
        facts=facts(kept, evidence),
        parts=parts_of(kept.records, evidence),
        manifest=kept.manifest,
        penalised=any(value < activation for record in kept.records for _, activation, value in record.trace),
        scan_facts={} if scan is None else scan_facts(scan),
        scanned=[] if scan is None else scanned(scan, list(dict.fromkeys(names.values())), colours, kept.records, names),
    )


def _scan_page(scan: ScanResults, targets: Sequence[str], title: str) -> str:
    """The page of some targets of a scan."""
    return _rendered(
        scan_contents(scan, targets),
        title=title,
        whole=True,
        headline=scan_headline(scan),
        facts=scan_facts(scan),
        parts=[],
        manifest=scan.about,
        penalised=False,
        scan_facts={},
        scanned=scanned(scan, targets, colours_of([BASELINE])),
    )


def _joined(kept: RunFolder, neurons: Sequence[dict[str, Any]], scan: ScanResults) -> dict[str, str]:
    """Add the places of a scan to the neurons of a run; the scan's names of the targets that it has."""
    if kept.manifest.get("fingerprints", {}).get("model") != scan.about["scan"]["mark"]:
        raise InputError("the scan is of a model with other weights than the run, or the run does not say which; scan the run's own model")
    alone = scan.about["scan"]["settings"]["question"] == "alone"
    known, model = set(scan), kept.records[0].model
    wanted = {neuron["target"]: neuron["target"] if alone else bare(neuron["target"]) for neuron in neurons if neuron["model"] == model}
    names = {target: name for target, name in wanted.items() if name in known}
    if not names:
        raise InputError(f"none of the run's neurons was scanned, such as {neurons[0]['target']}; name them to `optigram scan`")
    seen = places(scan, list(names.values()))
    for neuron in neurons:
        if neuron["model"] == model and neuron["target"] in names:
            neuron["places"] = seen[names[neuron["target"]]]
            neuron["base"] = neuron["places"]["highest"] if neuron["base"] is None else neuron["base"]
    return names


def _rendered(data: dict[str, Any], manifest: Mapping[str, Any], **told: Any) -> str:
    script = "\n".join(_part(name) for name in SCRIPTS)
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(_part("report.html.j2")).render(
        told
        | {
            "manifest": json.dumps(manifest, indent=2, ensure_ascii=False),
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
