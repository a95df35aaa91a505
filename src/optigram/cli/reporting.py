"""Commands that show what a run found: report, evidence, show."""

from pathlib import Path
from typing import Annotated

import typer

from optigram.cli.options import Device, Json, Quiet
from optigram.cli.showing import console, print_records, progress, remark
from optigram.errors import InputError

app = typer.Typer()

Folder = Annotated[Path, typer.Argument(help="a folder that find --out, demo --out or study --out wrote")]


@app.command()
def report(
    folder: Folder,
    out: Annotated[Path, typer.Option("--out", "-o", help="the page to write")] = Path("report.html"),
    title: Annotated[str | None, typer.Option(help="what stands above it  [default: the study's name, or the folder's]")] = None,
    plain: Annotated[bool, typer.Option("--plain", help="from the records alone: no heat maps, substitutes, corpus examples")] = False,
    device: Device = "cpu",
    quiet: Quiet = False,
) -> None:
    """One self-contained page of a run; what only the model can tell is gathered first, once."""
    from optigram.report.html import write_report
    from optigram.study.evidence import EVIDENCE, read_evidence
    from optigram.study.folders import open_folder

    kept = open_folder(folder)
    if not plain and not _covers(kept.records, known := read_evidence(folder)):
        if not quiet:
            remark(f"gathering evidence, kept in {folder / EVIDENCE}{' (of another state of the study)' if known else ''}")
        try:
            _gather(folder, device, quiet)
        except InputError as error:
            raise InputError(f"{error}; or make the page from the records alone with --plain") from error
    write_report(kept, [] if plain else read_evidence(folder), out, title)
    if not quiet:
        remark(f"{out} ({out.stat().st_size / 1e6:.1f} MB) opens in any browser, without a network")


@app.command()
def evidence(folder: Folder, device: Device = "cpu", quiet: Quiet = False) -> None:
    """Gather anew what only the model can tell of a run: what each word adds, other words, the corpus's best."""
    rows = _gather(folder, device, quiet)
    if not quiet:
        remark(f"evidence of {len(rows)} neurons is in {folder}")


@app.command()
def show(
    folder: Folder,
    target: Annotated[str | None, typer.Option(help="only this neuron, by its address")] = None,
    top: Annotated[int | None, typer.Option(help="only so many texts of each neuron, the best first", min=1)] = None,
    as_json: Json = False,
) -> None:
    """Print a run's texts; where there is evidence, words in the colour of what they add."""
    from optigram.report.results import Results
    from optigram.report.tables import ngram_table

    found = Results.open(folder)
    found = found if target is None else found[target]
    found = found if top is None else found.top(top)
    if as_json:
        print_records(found.records, as_json)
    else:
        console().print(ngram_table(found.records, found.evidence))


def _gather(folder: Path, device: str, quiet: bool) -> list:
    from optigram.study.gather import gather

    with progress(quiet) as show:
        return gather(folder, device, show)


def _covers(records: list, known: list) -> bool:
    """Whether every neuron of the records has its evidence, and every text its heat."""
    texts = {(record.model, record.target, record.arm, record.method, record.seed, record.rank) for record in records}
    return texts <= {(one.model, one.target, heat.arm, heat.method, heat.seed, heat.rank) for one in known for heat in one.heats}
