"""The command of the live page: explore."""

from pathlib import Path
from typing import Annotated

import typer

from optigram.apps.cli.options import Around, Device, Model, Quiet
from optigram.apps.cli.output import tell
from optigram.errors import InputError

PANEL = "Look at results"

app = typer.Typer()

LOCAL = ("127.0.0.1", "localhost", "::1")


@app.command("explore", rich_help_panel=PANEL)
def _explore(
    model: Model = "imaginet",
    corpus: Annotated[str | None, typer.Option(help="corpus for crp", show_default="the bundled captions")] = None,
    template: Around = None,
    files: Annotated[list[Path] | None, typer.Option(help="a folder whose vectors and autoencoders targets may name; repeatable")] = None,
    host: Annotated[str, typer.Option(help="address to listen on; any but the default is reachable from your network")] = LOCAL[0],
    port: Annotated[int, typer.Option(help="port; 0 takes any that is free", min=0, max=65535)] = 8000,
    device: Device = None,
    quiet: Quiet = False,
) -> None:
    """Open a live page: type a target and a text, see the contribution of each word, watch a search. Ctrl-C stops it."""
    try:
        from optigram.apps.live.patience import server
    except ImportError as error:
        raise InputError("the live page needs a web server; install it with: pip install 'optigram[web]'") from error
    from optigram.apps.live.session import Session
    from optigram.models.loading import BUNDLED, load
    from optigram.runs.corpus import corpus_for

    if missing := next((folder for folder in files or () if not folder.is_dir()), None):
        raise InputError(f"--files: expected a folder, got {str(missing)!r}")
    network = load(model, device=device)
    texts = (
        corpus_for(network, corpus, tell=(lambda text: None) if quiet else tell) if corpus is not None or network.name == BUNDLED else None
    )
    sock = _bound(host, port)
    if host not in LOCAL and not quiet:
        tell(f"WARNING: whoever reaches {host} can use this page; it has no password")
    made = server(Session(network, model, texts, template, files or ()), [*LOCAL, "[::1]", host] if host in LOCAL else ["*"])
    if not quiet:
        tell(f"http://{host}:{sock.getsockname()[1]}/ shows {model}; Ctrl-C ends it")
    made.run(sockets=[sock])


def _bound(host: str, port: int):
    """A listening place, so that one that is taken is one line and no traceback."""
    import socket

    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        raise InputError(f"cannot listen on {host}:{port} ({error.strerror}); name another --port, or 0 for any that is free") from error
