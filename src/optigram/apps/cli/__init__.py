"""The command line: each command a few lines over public functions, which are imported when they are needed."""

import sys
from typing import Annotated, NoReturn, cast

import typer

from optigram import __version__
from optigram.apps.cli import find as searching
from optigram.apps.cli import live as exploring
from optigram.apps.cli import models
from optigram.apps.cli import report as reporting
from optigram.apps.cli import scan as scanning
from optigram.apps.cli import study as studies
from optigram.apps.cli.output import INTERRUPTED
from optigram.errors import InputError

FAILED = 2
# click's UsageError, or that of the copy of click which newer versions of typer carry
UsageError = cast("type[typer.BadParameter]", typer.BadParameter.__mro__[1])

app = typer.Typer(name="optigram", add_completion=False, no_args_is_help=True)
for part in (searching, scanning, models, studies, reporting, exploring):
    app.add_typer(part.app)


def _show_version(asked: bool) -> bool:
    if asked:
        typer.echo(f"optigram {__version__}")
        raise typer.Exit
    return asked


@app.callback()
def options(
    version: Annotated[bool, typer.Option("--version", help="print the version", callback=_show_version, is_eager=True)] = False,
) -> None:
    """What text makes this neuron fire?"""


def main() -> NoReturn:
    """Run a command. Bad input is one line on standard error and exit 2; Ctrl-C exits with 130."""
    try:
        code = app(standalone_mode=False)
    except InputError as error:
        code = _fail(str(error))
    except UsageError as error:
        code = _fail(error.format_message())
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    sys.exit(code if isinstance(code, int) else 0)


def _fail(message: str) -> int:
    sys.stderr.write(f"optigram: {' '.join(message.split())}\n")
    return FAILED
