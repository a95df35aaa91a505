"""What commands say and show: records and tables on standard output, remarks and progress on standard error."""

import contextlib
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console

if TYPE_CHECKING:
    from optigram.runs.explain import Explanation
    from optigram.runs.options import FindOptions
    from optigram.runs.records import Record

WIDE = 160  # characters of a table that is not shown on a terminal
INTERRUPTED = 130


def remark(text: str) -> None:
    """Say a line on standard error."""
    Console(stderr=True).print(text, highlight=False, markup=False, soft_wrap=True)


def console() -> Console:
    """Standard output, wide where it is no terminal."""
    return Console() if sys.stdout.isatty() else Console(width=WIDE)


def print_records(records: "Sequence[Record]", as_json: bool) -> None:
    """Records as a table, or as lines of JSON."""
    if as_json:
        sys.stdout.writelines(record.to_json() + "\n" for record in records)
        return
    from optigram.report.tables import ngram_table

    if records:
        console().print(ngram_table(records))


def print_explanations(explanations: "Sequence[Explanation]", as_json: bool) -> None:
    """Explanations as tables with a last line each, or as lines of JSON."""
    from optigram.report.tables import explanation_table, order_line

    for one in map(asdict, explanations):
        if as_json:
            sys.stdout.write(json.dumps(one, ensure_ascii=False) + "\n")
        else:
            console().print(explanation_table(one))
            console().print(order_line(one) + "\n", highlight=False, markup=False)


def run_request(
    request: "FindOptions", out: Path | None, as_json: bool, quiet: bool, closing: "Callable[[Sequence[Record]], str] | None" = None
) -> None:
    """Run a request, show what it found, and end with 130 if Ctrl-C ended it; `closing` makes a last paragraph of the records."""
    from optigram.runs.run import run

    with progress(quiet) as show:
        finds = run(request, out, lambda total: _watch_search(show, total), (lambda text: None) if quiet else remark)
    records = [record for one in finds for record in one.records]
    print_records(records, as_json)
    if any(one.interrupted for one in finds):
        raise typer.Exit(INTERRUPTED)
    if closing is not None and not as_json:
        console().print(f"\n{closing(records)}", highlight=False, markup=False)


def progress(quiet: bool) -> "contextlib.AbstractContextManager[Callable[[float, int, str], None]]":
    """Show a bar with the time left on standard error, if that is a terminal: (done, of how many, what)."""
    from optigram.engine.progress import progress as bar

    return bar(True if quiet else None)


def _watch_search(show: Callable[[float, int, str], None], total: int) -> Callable[[str, int, Any], None]:
    def watch(method: str, done: int, best: Any) -> None:
        show(done, total, f"{method}: best {float(best.max()):.2f}")

    return watch
