"""Commands about a model: what can be targeted in it, and whether it is read right."""

import sys

import typer

from optigram.apps.cli.options import Device, Json, Model
from optigram.apps.cli.output import console

app = typer.Typer()


@app.command()
def sites(model: Model, as_json: Json = False) -> None:
    """What can be targeted in a model, with an address to copy."""
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


@app.command()
def check(model: Model, as_json: Json = False, device: Device = "cpu") -> None:
    """Is a model read right? Try it on random texts; the exit code is 1 if a claim fails."""
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
