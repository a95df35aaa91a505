"""A headless Chromium with the network off, and pages that were made for it; `make test-browser` installs what this needs."""

import os
from dataclasses import replace

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect, sync_playwright

from made_runs import HOSTILE, made_explained, made_run, made_scan
from optigram.report.explained import Explained
from optigram.report.html import write_report, write_scan_report
from optigram.runs.folder import RunFolder

TIMEOUT = 60_000  # ms: a search may have to share the machine
expect.set_options(timeout=TIMEOUT)

CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session")
def browser():
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def reports(tmp_path_factory) -> dict[str, str]:
    """Addresses of pages: of 6 neurons, 320, 6 "explained" ones, "hostile" ones that try to break out; of scans; of "both"."""
    folder = tmp_path_factory.mktemp("reports")
    runs = {"small": made_run(6), "large": made_run(320), "hostile": made_run(len(HOSTILE), HOSTILE)}
    known = {"small": None, "large": None, "hostile": Explained.of(made_explained(len(HOSTILE), HOSTILE))}
    for name, (kept, evidence) in runs.items():
        write_report(kept, evidence, folder / f"{name}.html", explained=known[name])
    write_report(*runs["small"], folder / "explained.html", explained=Explained.of(made_explained(6)))
    write_report(*runs["small"], folder / "both.html", scan=made_scan(6))
    write_report(with_fronts(runs["small"][0]), [], folder / "fronts.html")
    hostile = {f"hostile {kind}": made_scan(len(HOSTILE), HOSTILE, alone=kind == "alone") for kind in ("scan", "alone")}
    for name, scan in {"scan": made_scan(6), **hostile}.items():
        write_scan_report(scan, folder / f"{name}.html", name)
    return {path.stem: path.as_uri() for path in folder.glob("*.html")}


def with_fronts(kept: RunFolder) -> RunFolder:
    """The same run by methods nobody has heard of, one of which keeps several texts of different surprisal."""
    new = [replace(record, method="epo+something-quite-long" if record.method == "smx" else record.method) for record in kept.records]
    some = [record for record in new if record.method == "epo+something-quite-long"]
    ranks = [replace(one, rank=n + 1, surprisal=8.0 - n, activation=one.activation - n) for one in some for n in range(5)]
    beams = [replace(one, method="beam", surprisal=4.0) for one in some]
    return replace(kept, records=[record for record in new if record not in some] + ranks + beams)


class Visit:
    """An open page, with all that it asked for and complained of."""

    def __init__(self, page: Page):
        self.page, self.requests, self.complaints = page, [], []
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("console", lambda message: self.complaints.append(message.text) if message.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("dialog", lambda dialog: self.complaints.append(f"a dialog: {dialog.message}") or dialog.dismiss())

    def faults(self) -> list[str]:
        """Serious accessibility faults of the page as it stands."""
        found = Axe().run(self.page, options={"resultTypes": ["violations"]})
        return [
            f"{one['id']}: {one['nodes'][0]['html'][:200]}"
            for one in found.response["violations"]
            if one["impact"] in ("serious", "critical")
        ]


@pytest.fixture
def visit(browser: Browser):
    """Open an address in a new context without a network; whatever the page did must have been quiet and local."""
    visits, contexts = [], []

    def open_page(url: str, **settings) -> Visit:
        settings = {"offline": url.startswith("file:"), "viewport": {"width": 1280, "height": 900}} | settings
        context = browser.new_context(**settings)
        context.set_default_timeout(TIMEOUT)
        contexts.append(context)
        made = Visit(context.new_page())
        visits.append(made)
        made.page.goto(url)
        if settings.get("java_script_enabled", True):
            made.page.wait_for_selector("html.ready")
        return made

    yield open_page
    for one in visits:
        assert one.complaints == []
        origin = one.page.url.split("#")[0].rsplit("/", 1)[0]
        assert [url for url in one.requests if not url.startswith((origin, "data:"))] == []
    for context in contexts:
        context.close()
