"""A small table as plain text, Markdown, LaTeX or HTML; every cell is escaped for its format."""

import html
import re
from collections.abc import Sequence
from dataclasses import dataclass

TEX = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}"}
TEX |= {sign: f"\\{sign}" for sign in "&%$#_{}"}


@dataclass(frozen=True)
class Grid:
    """Cells by row. `right` are the numbers of right-aligned columns, `groups` the numbers of rows that begin a new group."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    right: frozenset[int] = frozenset()
    groups: frozenset[int] = frozenset()
    caption: str = ""


def plain(grid: Grid) -> str:
    """Columns padded with spaces."""
    widths = [max(map(len, column)) for column in zip(grid.header, *grid.rows, strict=True)]

    def line(cells: Sequence[str]) -> str:
        padded = (
            cell.rjust(width) if i in grid.right else cell.ljust(width) for i, (cell, width) in enumerate(zip(cells, widths, strict=True))
        )
        return "  ".join(padded).rstrip()

    lines = [line(grid.header), "  ".join("-" * width for width in widths)]
    for number, row in enumerate(grid.rows):
        lines += [""] * (number in grid.groups and number > 0) + [line(row)]
    return "\n".join([*lines, *([f"\n{grid.caption}"] if grid.caption else [])]) + "\n"


def markdown(grid: Grid) -> str:
    """A table in GitHub's Markdown."""

    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(re.sub(r"([\\|`*_<>\[\]])", r"\\\1", cell).replace("\n", " ") for cell in cells) + " |"

    rule = "|" + "|".join("---:" if i in grid.right else "---" for i in range(len(grid.header))) + "|"
    return "\n".join([line(grid.header), rule, *map(line, grid.rows), *([f"\n{grid.caption}"] if grid.caption else [])]) + "\n"


def _latex(grid: Grid) -> str:
    """A `tabular` in a `table`, with booktabs rules."""

    def line(cells: Sequence[str]) -> str:
        return " & ".join("".join(TEX.get(sign, sign) for sign in cell) for cell in cells) + r" \\"

    columns = "".join("r" if i in grid.right else "l" for i in range(len(grid.header)))
    body = [piece for n, row in enumerate(grid.rows) for piece in [*([r"\midrule"] if n in grid.groups and n else []), line(row)]]
    head = [r"\begin{table}", r"\centering", f"\\begin{{tabular}}{{{columns}}}", r"\toprule", line(grid.header), r"\midrule"]
    caption = [f"\\caption{{{''.join(TEX.get(sign, sign) for sign in grid.caption)}}}"] if grid.caption else []
    return "\n".join([*head, *body, r"\bottomrule", r"\end{tabular}", *caption, r"\end{table}"]) + "\n"


def _as_html(grid: Grid) -> str:
    """A `<table>` without styles."""

    def line(cells: Sequence[str], tag: str) -> str:
        aligned = (f' style="text-align:{"right" if i in grid.right else "left"}"' for i in range(len(cells)))
        return "<tr>" + "".join(f"<{tag}{style}>{html.escape(cell)}</{tag}>" for cell, style in zip(cells, aligned, strict=True)) + "</tr>"

    caption = f"<caption>{html.escape(grid.caption)}</caption>\n" if grid.caption else ""
    rows = "\n".join(line(row, "td") for row in grid.rows)
    return f"<table>\n{caption}<thead>{line(grid.header, 'th')}</thead>\n<tbody>\n{rows}\n</tbody>\n</table>\n"


FORMATS = {"txt": plain, "md": markdown, "tex": _latex, "html": _as_html}
