"""Commands about a model: what can be targeted in it, and whether it is read right."""

import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import typer
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from optigram.apps.cli.options import Device, Json, Model
from optigram.apps.cli.output import console, tell

PANEL = "Models"

app = typer.Typer()
POINT = re.compile(r"(?P<kind>[a-z_]+)\.(?P<layer>\d+)")
GROUPS = {"point": "points of the blocks", "module": "outputs of other modules, by path; PATH@in is a module's input", "site": "sites"}


@app.command("sites", rich_help_panel=PANEL)
def _sites(model: Model, as_json: Json = False) -> None:
    """List the sites of a model, with an address to copy for each."""
    import json
    from dataclasses import asdict

    from optigram.runs.site_list import list_sites

    network = _opened(model)
    rows = [asdict(row) for row in list_sites(network)]
    if as_json:
        sys.stdout.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    else:
        console().print(_site_tree(network.name, rows))


@app.command("check", rich_help_panel=PANEL)
def _check(model: Model, as_json: Json = False, device: Device = None) -> None:
    """Check that a model is read correctly, on random texts. Exits with 1 if a check fails."""
    import json
    from dataclasses import asdict

    from optigram.models.validation import checks

    network = _opened(model, device)
    rows = [asdict(row) for row in checks(network)]
    if as_json:
        sys.stdout.writelines(json.dumps(row) + "\n" for row in rows)
    else:
        console().print(_check_table(rows))
    if not all(row["holds"] for row in rows):
        raise typer.Exit(1)


def _opened(model: str, device: str | None = None) -> Any:
    """The model; what it lacks is said."""
    from optigram.models.loading import load

    found = load(model, device=device)
    if remark := getattr(found, "remark", ""):
        tell(remark)
    return found


def _site_tree(name: str, rows: Sequence[Mapping[str, Any]]) -> Tree:
    """The tree of `list_sites` rows, with sizes, names of units, and an address to copy."""
    tree = Tree(Text(name, style="bold"))
    for group, title in GROUPS.items():
        members = [row for row in rows if _group(row) == group and not row["site"].endswith("@in")]
        if members:
            branch = tree.add(Text(title, style="bold"))
            for row, sites in _alike(members):
                branch.add(_line(row, sites))
    return tree


def _group(row: Mapping[str, Any]) -> str:
    if not row["path"]:
        return "site"
    return "module" if row["path"] == row["site"] else "point"


def _alike(rows: Iterable[Mapping[str, Any]]) -> list[tuple[Mapping[str, Any], list[str]]]:
    """Rows that differ only in a number within the name: the first of them, and the names of all."""
    found: dict[tuple[str, int], tuple[Mapping[str, Any], list[str]]] = {}
    for row in rows:
        key = re.sub(r"\.\d+", ".#", row["site"]), row["units"]
        found.setdefault(key, (row, []))[1].append(row["site"])
    return list(found.values())


def _line(row: Mapping[str, Any], sites: Sequence[str]) -> Text:
    name = sites[0] if len(sites) == 1 else f"{sites[0]} ... {sites[-1]}"
    if len(sites) > 1 and (first := POINT.fullmatch(sites[0])) and (last := POINT.fullmatch(sites[-1])):
        name = f"{first['kind']}.{first['layer']} to .{last['layer']}"
    line = Text.assemble((f"{name}  ", "cyan"), f"{row['units']:,} units  ", (row["address"], "green"))
    if row["names"]:
        line.append(f"  {', '.join(row['names'])}, ...")
    for other in ("path", "transformer_lens"):
        if row[other] and row[other] != row["site"]:
            line.append(f"  {row[other]}", style="dim")
    return line


def _check_table(rows: Iterable[Mapping[str, Any]]) -> Table:
    """One row per claim about a model: whether it holds, and the figure that decides."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("")
    table.add_column("claim")
    table.add_column("figure", justify="right")
    table.add_column("which is", overflow="fold")
    for row in rows:
        mark = Text("holds", style="green") if row["holds"] else Text("FAILS", style="bold red")
        table.add_row(mark, Text(row["claim"]), f"{row['figure']:.3g}", Text(row["meaning"]))
    return table
