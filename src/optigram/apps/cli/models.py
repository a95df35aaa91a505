"""Commands about a model: what can be targeted in it, and whether it is read right."""

import sys
from typing import Any

import typer

from optigram.apps.cli.options import Device, Json, Model
from optigram.apps.cli.output import console, tell

PANEL = "Models"

app = typer.Typer()


@app.command(rich_help_panel=PANEL)
def sites(model: Model, as_json: Json = False) -> None:
    """List the sites of a model, with an address to copy for each."""
    import json
    from dataclasses import asdict

    from optigram.report.site_tree import site_tree
    from optigram.runs.site_list import list_sites

    network = _opened(model)
    rows = [asdict(row) for row in list_sites(network)]
    if as_json:
        sys.stdout.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    else:
        console().print(site_tree(network.name, rows))


@app.command(rich_help_panel=PANEL)
def check(model: Model, as_json: Json = False, device: Device = None) -> None:
    """Check that a model is read correctly, on random texts. Exits with 1 if a check fails."""
    import json
    from dataclasses import asdict

    from optigram.models.validation import checks
    from optigram.report.tables import check_table

    network = _opened(model, device)
    rows = [asdict(row) for row in checks(network)]
    if as_json:
        sys.stdout.writelines(json.dumps(row) + "\n" for row in rows)
    else:
        console().print(check_table(rows))
    if not all(row["holds"] for row in rows):
        raise typer.Exit(1)


def _opened(model: str, device: str | None = None) -> Any:
    """The model; what it lacks is said."""
    from optigram.models.loading import load

    found = load(model, device=device)
    if remark := getattr(found, "remark", ""):
        tell(remark)
    return found
