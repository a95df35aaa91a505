"""ScanResults: the tables of a scan as Python and notebooks show them, with a report."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from rich.console import Console
from rich.table import Table
from rich.text import Text

from optigram.errors import one_line
from optigram.report.frames import pandas_of, polars_of
from optigram.scanning.results import ScanTables

if TYPE_CHECKING:
    import pandas
    import polars

SHOWN, CONTEXT = 40, 60  # rows of `show`, and characters around a place


@dataclass(frozen=True, repr=False)
class ScanResults(ScanTables):
    """The best places of every target, and the statistics of its activations.

    Reads like a mapping: its keys are the addresses of the targets, and `results["mlp_act.5:3"]` or `results[0]` are the highest places of
    one target, best first, as dictionaries. `examples`, `targets` and `curve` are Arrow tables (see "Scans" in the documentation), `about`
    is the manifest.
    """

    def __repr__(self) -> str:
        read = f"{len(self):,} targets in {self.about['documents']:,} documents, {self.about['tokens']:,} tokens"
        read += f", {self.left_out}" if self.left_out else ""
        if not (best := self.best):
            return f"ScanResults({read})"
        row = max(best, key=lambda row: row["activation"])
        return f"ScanResults({read}; highest: {row['target']} {row['activation']:.4g} in {_shortened(row)!r})"

    def show(self) -> None:
        """Print the highest place of every target."""
        table = Table(box=None, pad_edge=False, header_style="bold")
        for name in ("neuron", "activation", "text"):
            table.add_column(name, overflow="fold", justify="right" if name == "activation" else "left")
        for row in self.best[:SHOWN]:
            table.add_row(Text(row["target"]), f"{row['activation']:.4g}", Text(_shortened(row)))
        Console().print(table)
        if len(self) > SHOWN:
            Console().print(f"and {len(self) - SHOWN:,} more; see .to_pandas()")

    def report(self, file: Path | str, title: str | None = None, only: str | None = None) -> None:
        """Write the one-file page of the scan: of at most 500 targets, those that a pattern such as `visual:p*` fits.

        Raises InputError if there are none.
        """
        from optigram.report.html import write_scan_report

        path = Path(file)
        write_scan_report(self, path, title or path.stem, only)

    def _repr_html_(self) -> str:
        """The highest place of every target as a table, for a notebook."""
        rows = "".join(
            f"<tr><td>{escape(row['target'])}</td><td>{row['activation']:.4g}</td><td><bdi>{escape(_shortened(row))}</bdi></td></tr>"
            for row in self.best[:SHOWN]
        )
        head = "<tr><th>neuron</th><th>activation</th><th>text</th></tr>"
        more = f"<p>and {len(self) - SHOWN:,} more; see .to_pandas()</p>" if len(self) > SHOWN else ""
        return f"<table><thead>{head}</thead><tbody>{rows}</tbody></table>{more}"

    def to_arrow(self) -> pa.Table:
        """One row per place, the columns of `examples.parquet`."""
        return self.examples

    def to_pandas(self) -> "pandas.DataFrame":
        """One row per place, as a pandas data frame."""
        return pandas_of(self.examples)

    def to_polars(self) -> "polars.DataFrame":
        """One row per place, as a polars data frame."""
        return polars_of(self.examples)


def _shortened(row: Mapping[str, Any]) -> str:
    """The text up to the place and a little after it, on one line, with the token that was found in brackets."""
    text = row["text"]
    if row["char_begin"] is None:
        return one_line(text)[-CONTEXT:]
    begin, end = row["char_begin"] - row["text_begin"], row["char_end"] - row["text_begin"]
    marked = f"{text[:begin]}[{text[begin:end]}]{text[end:]}"
    width = max(CONTEXT, shutil.get_terminal_size().columns - 40)
    return one_line(marked[max(end + 2 - width // 2, 0) : end + 2 + width // 2])
