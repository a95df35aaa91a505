"""Commands about a model: what can be targeted in it, and whether it is read right."""

import sys

import typer

from optigram.apps.cli.options import Device, Json, Model
from optigram.apps.cli.output import console

PANEL = "Models"

app = typer.Typer()


@app.command("sites", rich_help_panel=PANEL)
def _sites(model: Model, as_json: Json = False) -> None:
    """List the sites of a model, with an address to copy for each."""
    import json
    from dataclasses import asdict

    from optigram.models.loading import load
    from optigram.report.site_tree import site_tree
    from optigram.runs.site_list import list_sites

    network = load(model)
    rows = [asdict(row) for row in list_sites(network)]
    if as_json:
        sys.stdout.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    else:
        console().print(site_tree(network.name, rows))


@app.command("check", rich_help_panel=PANEL)
def _check(model: Model, as_json: Json = False, device: Device = None) -> None:
    """Check that a model is read correctly, on random texts. Exits with 1 if a check fails."""
    import json
    from dataclasses import asdict

    from optigram.models.loading import load
    from optigram.models.validation import checks
    from optigram.report.tables import check_table

    rows = [asdict(row) for row in checks(load(model, device=device))]
    if as_json:
        sys.stdout.writelines(json.dumps(row) + "\n" for row in rows)
    else:
        console().print(check_table(rows))
    if not all(row["holds"] for row in rows):
        raise typer.Exit(1)
