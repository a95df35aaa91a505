"""The command line: each command a few lines over public functions, which are imported when they are needed."""

import contextlib
import os
import signal
import sys
import traceback
from importlib.metadata import version as installed
from typing import Annotated, NoReturn

import typer

from optigram.apps.cli import cache, find, live, mcp, models, report, scan, study, verify
from optigram.apps.cli.output import INTERRUPTED
from optigram.errors import InputError, one_line

FAILED, UNEXPECTED = 2, 1
WAITING = "OMP_WAIT_POLICY"  # threads that spin while they wait for another take a search to a tenth of its speed on a machine in use
DEBUG = "--debug"

app = typer.Typer(
    name="optigram",
    no_args_is_help=True,
    rich_markup_mode="rich",
    epilog="Start with: optigram find imaginet visual:pizza",
)
for part in (find, verify, scan, report, models, cache, study, live, mcp):
    app.add_typer(part.app)


def _show_version(asked: bool) -> bool:
    if asked:
        typer.echo(f"optigram {installed('optigram')}")
        raise typer.Exit
    return asked


@app.callback()
def _options(
    version: Annotated[bool, typer.Option("--version", help="print the version", callback=_show_version, is_eager=True)] = False,
    debug: Annotated[bool, typer.Option(DEBUG, help="show the traceback of an unexpected error")] = False,
) -> None:
    """What text makes this neuron fire?"""


def main() -> NoReturn:
    """Run a command. Bad input is one line on standard error and exit 2, an unexpected error one line and exit 1.

    Ctrl-C and SIGTERM, by which batch systems end a job, exit with 130: what was found until then is kept, and nothing is left half done.
    """
    os.environ.setdefault(WAITING, "PASSIVE")  # read when torch is loaded, which is later
    with contextlib.suppress(ValueError):  # not the main thread, which alone may say so
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        code = app(standalone_mode=False)
    except InputError as error:
        code = _fail(str(error), FAILED)
    except typer.TyperException as error:
        code = _fail(error.format_message(), FAILED)
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    except BrokenPipeError:  # who reads the output has enough, such as `head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left would fail again when the process ends
        code = UNEXPECTED
    except Exception as error:
        if DEBUG in sys.argv:
            traceback.print_exc()
        code = _fail(f"unexpected {type(error).__name__}: {error}; run again with optigram {DEBUG} for the traceback", UNEXPECTED)
    sys.exit(code if isinstance(code, int) else 0)


def _fail(message: str, code: int) -> int:
    sys.stderr.write(f"optigram: {one_line(message)}\n")
    return code
