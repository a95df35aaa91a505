"""What commands print: records and tables on standard output, remarks on standard error."""

import sys
from typing import TYPE_CHECKING

from rich.console import Console

from optigram.engine.progress import progress, tell

if TYPE_CHECKING:
    from optigram.report.results import Results

__all__ = ["INTERRUPTED", "console", "print_records", "progress", "tell"]

WIDE = 160  # characters of a table that is not shown on a terminal
INTERRUPTED = 130


def console() -> Console:
    """Standard output, wide where it is no terminal."""
    return Console() if sys.stdout.isatty() else Console(width=WIDE)


def print_records(results: "Results", as_json: bool) -> None:
    """Results as a table, or as JSON lines."""
    if as_json:
        sys.stdout.writelines(record.to_json() + "\n" for record in results)
    elif len(results):
        results.show(console())
