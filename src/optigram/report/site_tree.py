"""The sites of a model as a tree for the terminal; sites that repeat in every block are one line."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.text import Text
from rich.tree import Tree

POINT = re.compile(r"(?P<kind>[a-z_]+)\.(?P<layer>\d+)")
GROUPS = {"point": "points of the blocks", "module": "outputs of other modules, by path; PATH@in is a module's input", "site": "sites"}


def site_tree(name: str, rows: Sequence[Mapping[str, Any]]) -> Tree:
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
