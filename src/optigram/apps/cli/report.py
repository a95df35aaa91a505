"""Commands that show what a run found: report, evidence, show."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from optigram.apps.cli.options import AllowImports, Device, Json, Quiet, device_of
from optigram.apps.cli.output import console, print_lines, print_records, progress, tell
from optigram.errors import InputError

if TYPE_CHECKING:
    from optigram.report.explained import Explained
    from optigram.scanning.results import ScanTables

PANEL = "Look at results"

app = typer.Typer()

Folder = Annotated[Path, typer.Argument(help="a folder written by find, demo or study")]


@app.command("report", rich_help_panel=PANEL)
def _report(
    folder: Annotated[Path, typer.Argument(help="a folder written by find, demo, study or scan")],
    out: Annotated[Path, typer.Option("--out", "-o", help="the HTML file to write")] = Path("report.html"),
    scan: Annotated[Path | None, typer.Option(help="the folder of a scan, shown beside the run")] = None,
    explanations: Annotated[
        list[Path] | None, typer.Option(help="a file of explain --save, describe --json or verify --out; repeatable")
    ] = None,
    only: Annotated[str | None, typer.Option(help="of a scan: targets whose address matches a pattern such as 'visual:p*'")] = None,
    title: Annotated[str | None, typer.Option(help="title of the page", show_default="name of the study or folder")] = None,
    plain: Annotated[bool, typer.Option("--plain", help="records only: no word contributions, substitutes or corpus examples")] = False,
    allow_imports: AllowImports = False,
    device: Device = None,
    quiet: Quiet = False,
) -> None:
    """Write one self-contained HTML page of a run, with its explanations and a scan, or of a scan."""
    from optigram.report.explained import Explained
    from optigram.scanning.results import ScanFolder, ScanTables

    if ScanFolder.is_in(folder):
        if scan is not None:
            raise InputError(f"{folder} is a scan itself; give a run first, and the scan to --scan")
        if explanations:
            raise InputError(f"{folder} is a scan; explanations are shown with a run, so give the folder of one")
        _report_scan(ScanTables.load(folder), only, out, title or folder.resolve().name, quiet)
    else:
        if only is not None:
            raise InputError("--only is for the page of a scan; a run's page has a search")
        explained = Explained.of(explanations) if explanations else None
        places = None if scan is None else ScanTables.load(scan)
        _report_run(folder, out, places, explained, title, plain, device_of(device), allow_imports, quiet)
    if not quiet:
        tell(f"{out} ({out.stat().st_size / 1e6:.1f} MB) opens in any browser, without a network")


@app.command("evidence", rich_help_panel=PANEL)
def _evidence(folder: Folder, allow_imports: AllowImports = False, device: Device = None, quiet: Quiet = False) -> None:
    """Compute the evidence of a run again: contribution of each word, substitutes, corpus examples."""
    rows = _gather(folder, device_of(device), allow_imports, quiet)
    if not quiet:
        tell(f"evidence of {len(rows)} neurons is in {folder}")


@app.command("show", rich_help_panel=PANEL)
def _show(
    folder: Annotated[Path, typer.Argument(help="a folder written by find, demo, study or scan")],
    target: Annotated[str | None, typer.Option(help="only this target")] = None,
    top: Annotated[int | None, typer.Option(help="number of texts per target", min=1)] = None,
    as_json: Json = False,
) -> None:
    """Print the texts of a run or the positions of a scan, coloured by contribution or activation."""
    from optigram.report.results import Results
    from optigram.scanning.results import ScanFolder, ScanTables

    if ScanFolder.is_in(folder):
        _show_scan(ScanTables.load(folder), target, top or 1, as_json)
        return
    found = Results.open(folder)
    found = found if target is None else found[target]
    found = found if top is None else found.top(top)
    if as_json:
        print_records(found, as_json)
    else:
        found.show(console())


def _report_run(
    folder: Path,
    out: Path,
    scan: "ScanTables | None",
    explained: "Explained | None",
    title: str | None,
    plain: bool,
    device: str,
    allow_imports: bool,
    quiet: bool,
) -> None:
    from optigram.report.html import write_report
    from optigram.report.scan_data import add_places
    from optigram.runs.folder import RunFolder
    from optigram.study.evidence import EVIDENCE, Evidence

    kept = RunFolder.open(folder)
    if scan is not None:
        add_places(kept, [], scan)  # what does not go together is refused before the evidence is computed
    if explained is not None:
        explained.add_to(kept, [{"model": record.model, "target": record.target} for record in kept.records])
    if not plain and not _covers(kept.records, known := Evidence.read(folder)):
        if not quiet:
            tell(f"gathering evidence, kept in {folder / EVIDENCE}{' (of another state of the study)' if known else ''}")
        try:
            _gather(folder, device, allow_imports, quiet)
        except InputError as error:
            raise InputError(f"{error}; or make the page from the records alone with --plain") from error
    write_report(kept, [] if plain else Evidence.read(folder), out, title, scan, explained)


def _report_scan(found: "ScanTables", only: str | None, out: Path, title: str, quiet: bool) -> None:
    from optigram.report.html import write_scan_report

    count = write_scan_report(found, out, title, only)
    if count < len(found) and only is None and not quiet:
        tell(f"the page shows the first {count} of {len(found):,} targets; choose others with --only 'PATTERN'")


def _show_scan(found: "ScanTables", target: str | None, top: int, as_json: bool) -> None:
    from optigram.report.scan_tables import places_table

    rows = [row for name in ([target] if target is not None else found) for row in found.of(name)[:top]]
    if as_json:
        print_lines(rows)
    else:
        console().print(places_table(rows))


def _gather(folder: Path, device: str, allow_imports: bool, quiet: bool) -> list:
    from optigram.study.collect import collect

    with progress(quiet) as show:
        return collect(folder, device, show, allow_imports)


def _covers(records: list, known: list) -> bool:
    """Whether every neuron of the records has its evidence, and every text its heat."""
    texts = {(record.model, record.target, record.arm, record.method, record.seed, record.rank) for record in records}
    return texts <= {(one.model, one.target, heat.arm, heat.method, heat.seed, heat.rank) for one in known for heat in one.heats}
