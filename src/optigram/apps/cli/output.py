"""What commands print: records and tables on standard output, remarks on standard error."""

import json
import math
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

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


def print_lines(rows: Iterable[object]) -> None:
    """JSON lines on standard output; what is not finite, which JSON cannot say, as null."""
    sys.stdout.writelines(json.dumps(_sayable(row), ensure_ascii=False, allow_nan=False) + "\n" for row in rows)


def _sayable(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {name: _sayable(one) for name, one in value.items()}
    return [_sayable(one) for one in value] if isinstance(value, list | tuple) else value


def print_records(results: "Results", as_json: bool) -> None:
    """Results as a table, or as JSON lines."""
    if as_json:
        sys.stdout.writelines(record.to_json() + "\n" for record in results)
    elif len(results):
        results.show(console())
