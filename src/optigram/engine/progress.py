"""A progress bar with the time left, on standard error."""

import contextlib
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def progress(quiet: bool | None = None) -> Iterator[Callable[[float, int, str], None]]:
    """Yield a function that takes (done, of how many, what) and shows it.

    By default the bar is shown on a terminal and in a notebook; `quiet` True: never, False: always.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    shown = console.is_terminal or console.is_jupyter if quiet is None else not quiet
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not shown, transient=True) as bar:
        task = bar.add_task("", total=None)
        yield lambda done, total, what: bar.update(task, completed=done, total=total, description=what)
