"""Progress with the time left: a bar on a terminal and in a notebook, a line every 10 seconds elsewhere."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

EVERY = 10.0  # seconds between two lines where there is no terminal

Show = Callable[[float, int, str], None]  # done, of how many, what


@contextlib.contextmanager
def progress(quiet: bool | None = None) -> Iterator[Show]:
    """Yield a function that shows progress. `quiet` None: only on a terminal and in a notebook; False: always; True: never."""
    if not shown(quiet):
        yield lambda done, total, what: None
    elif _interactive():
        with _bar(_console()) as show:
            yield show
    else:
        yield _lines()


def shown(quiet: bool | None) -> bool:
    """Whether progress and remarks are shown."""
    return _interactive() if quiet is None else not quiet


def _console() -> Console:
    """The notebook's own output, or standard error."""
    return Console() if "ipykernel" in sys.modules else Console(stderr=True)


def _interactive() -> bool:
    console = _console()
    return console.is_terminal or console.is_jupyter


def tell(text: str) -> None:
    """Print one line on standard error."""
    Console(stderr=True).print(text, highlight=False, markup=False, soft_wrap=True)


@contextlib.contextmanager
def _bar(console: Console) -> Iterator[Show]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("starting", total=None)
        yield lambda done, total, what: bar.update(task, completed=done, total=total, description=what)


def _lines() -> Show:
    begun = last = time.monotonic()

    def show(done: float, total: int, what: str) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= EVERY:
            last = now
            left = f", about {(now - begun) * (total - done) / done:.0f} s left" if 0 < done < total else ""
            sys.stderr.write(f"optigram: {what}, {done} of {total} done after {now - begun:.0f} s{left}\n")

    return show
