"""The command that offers tools to agents: mcp."""

from pathlib import Path
from typing import Annotated

import typer

from optigram.apps.cli.options import Device, Model
from optigram.errors import InputError

PANEL = "Look at results"

app = typer.Typer()


@app.command("mcp", rich_help_panel=PANEL)
def _mcp(
    model: Model,
    files: Annotated[Path | None, typer.Option(help="the folder whose files corpora and targets may name", show_default="no file")] = None,
    judge: Annotated[str | None, typer.Option(help="the judge of verify", show_default="as optigram verify")] = None,
    budget: Annotated[float, typer.Option(help="largest budget of a call, in forward-equivalents", min=1)] = 20_000,
    device: Device = None,
) -> None:
    """Offer find, score, explain, concepts, verify and scan to an agent, over the Model Context Protocol on standard input and output."""
    import importlib.util

    if importlib.util.find_spec("mcp") is None:
        raise InputError("the tools for agents need the package mcp; install it with: pip install 'optigram[mcp]'")
    from optigram.apps.tools import Toolbox
    from optigram.models.loading import load

    if files is not None and not files.is_dir():
        raise InputError(f"--files: expected a folder, got {str(files)!r}")
    Toolbox(load(model, device=device), files, judge, budget).server().run()
