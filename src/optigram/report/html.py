"""The report as one HTML file: no server, no network; all that it shows and does is inside."""

import base64
import functools
import hashlib
import json
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined
from jinja2.utils import htmlsafe_json_dumps
from markupsafe import Markup

from optigram.files import written_whole
from optigram.report.contents import contents
from optigram.report.overview import colours_of, facts, headline, parts_of
from optigram.study.evidence import Evidence
from optigram.study.folders import Kept

STYLES = ("theme.css", "layout.css")
SCRIPTS = ("elements.js", "heat.js", "browser.js", "plots.js", "neuron.js", "page.js")


def write_report(kept: Kept, evidence: Sequence[Evidence], path: Path, title: str | None = None) -> None:
    """Write the page of a run, whole. Without evidence it has no heat maps, substitutes or corpus examples."""
    with written_whole(path) as temporary:
        temporary.write_text(page(kept, evidence, title), encoding="utf-8")


def page(kept: Kept, evidence: Sequence[Evidence], title: str | None = None) -> str:
    """The page as text. Whatever came from a model or a user is escaped; the script runs by its hash alone."""
    data = contents(kept, evidence)
    colours = colours_of(["crp", *(one["method"] for one in data["series"])])
    for one in data["series"]:
        one["colour"] = colours[one["method"]]
    script = "\n".join(_part(name) for name in SCRIPTS)
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(_part("report.html.j2")).render(
        title=title or kept.settings.get("name") or kept.folder.resolve().name,
        whole=kept.whole,
        headline=headline(kept.records),
        facts=facts(kept, evidence),
        parts=parts_of(kept.records, evidence),
        manifest=json.dumps(kept.manifest, indent=2, ensure_ascii=False),
        several_models=len({neuron["model"] for neuron in data["neurons"]}) > 1,
        data=data,
        json=inert(data),
        style=Markup("\n".join(_part(name) for name in STYLES)),
        script=Markup(script),
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )


def inert(data: Any) -> Markup:
    """JSON that may stand in a script element: no character of it can end the element or begin another."""
    return htmlsafe_json_dumps(data, functools.partial(json.dumps, ensure_ascii=False, separators=(",", ":"), allow_nan=False))


def _part(name: str) -> str:
    return (files("optigram.report") / "page" / name).read_text(encoding="utf-8")
