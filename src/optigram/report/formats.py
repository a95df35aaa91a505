"""A small table as plain text, Markdown, LaTeX or HTML; every cell is escaped for its format."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

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

    def plain(self) -> str:
        """Columns padded with spaces."""
        widths = [max(map(len, column)) for column in zip(self.header, *self.rows, strict=True)]

        def line(cells: Sequence[str]) -> str:
            padded = (
                cell.rjust(width) if i in self.right else cell.ljust(width)
                for i, (cell, width) in enumerate(zip(cells, widths, strict=True))
            )
            return "  ".join(padded).rstrip()

        lines = [line(self.header), "  ".join("-" * width for width in widths)]
        for number, row in enumerate(self.rows):
            lines += [""] * (number in self.groups and number > 0) + [line(row)]
        return "\n".join([*lines, *([f"\n{self.caption}"] if self.caption else [])]) + "\n"

    def markdown(self) -> str:
        """A table in GitHub's Markdown."""

        def line(cells: Sequence[str]) -> str:
            return "| " + " | ".join(re.sub(r"([\\|`*_<>\[\]])", r"\\\1", cell).replace("\n", " ") for cell in cells) + " |"

        rule = "|" + "|".join("---:" if i in self.right else "---" for i in range(len(self.header))) + "|"
        return "\n".join([line(self.header), rule, *map(line, self.rows), *([f"\n{self.caption}"] if self.caption else [])]) + "\n"

    def latex(self) -> str:
        """A `tabular` in a `table`, with booktabs rules."""

        def line(cells: Sequence[str]) -> str:
            return " & ".join("".join(TEX.get(sign, sign) for sign in cell) for cell in cells) + r" \\"

        columns = "".join("r" if i in self.right else "l" for i in range(len(self.header)))
        body = [piece for n, row in enumerate(self.rows) for piece in [*([r"\midrule"] if n in self.groups and n else []), line(row)]]
        head = [r"\begin{table}", r"\centering", f"\\begin{{tabular}}{{{columns}}}", r"\toprule", line(self.header), r"\midrule"]
        caption = [f"\\caption{{{''.join(TEX.get(sign, sign) for sign in self.caption)}}}"] if self.caption else []
        return "\n".join([*head, *body, r"\bottomrule", r"\end{tabular}", *caption, r"\end{table}"]) + "\n"

    def html(self) -> str:
        """A `<table>` without styles."""

        def line(cells: Sequence[str], tag: str) -> str:
            aligned = (f' style="text-align:{"right" if i in self.right else "left"}"' for i in range(len(cells)))
            return "<tr>" + "".join(f"<{tag}{style}>{escape(cell)}</{tag}>" for cell, style in zip(cells, aligned, strict=True)) + "</tr>"

        caption = f"<caption>{escape(self.caption)}</caption>\n" if self.caption else ""
        rows = "\n".join(line(row, "td") for row in self.rows)
        return f"<table>\n{caption}<thead>{line(self.header, 'th')}</thead>\n<tbody>\n{rows}\n</tbody>\n</table>\n"


FORMATS = {"txt": Grid.plain, "md": Grid.markdown, "tex": Grid.latex, "html": Grid.html}
