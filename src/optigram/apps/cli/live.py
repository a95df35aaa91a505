"""The command of the live page: explore."""

from typing import Annotated

import typer

from optigram.apps.cli.options import Around, Device, Model, Quiet
from optigram.apps.cli.output import remark
from optigram.errors import InputError

app = typer.Typer()

LOCAL = ("127.0.0.1", "localhost", "::1")
PATIENCE = 3  # seconds that open connections have when the server ends


@app.command()
def explore(
    model: Model = "imaginet",
    corpus: Annotated[str | None, typer.Option(help="for crp  [default: the bundled model's own sentences]")] = None,
    template: Around = None,
    host: Annotated[str, typer.Option(help="who may reach it: any other than this machine's own shows it to your network")] = LOCAL[0],
    port: Annotated[int, typer.Option(help="0 takes any that is free", min=0, max=65535)] = 8000,
    device: Device = "cpu",
    quiet: Quiet = False,
) -> None:
    """A live page: type a target and a text, see what each word is worth, and watch a search. Ctrl-C ends it."""
    try:
        import uvicorn

        from optigram.apps.live.server import application
    except ImportError as error:
        raise InputError("the live page needs a web server; install it with: pip install 'optigram[web]'") from error
    from optigram.apps.live.session import Session
    from optigram.models.loading import BUNDLED, load
    from optigram.runs.corpus import sentences_for

    network = load(model, device=device)
    sentences = sentences_for(network, corpus) if corpus is not None or network.name == BUNDLED else None
    sock = _bound(host, port)
    if host not in LOCAL and not quiet:
        remark(f"WARNING: whoever reaches {host} can use this page; it has no password")
    app = application(Session(network, model, sentences, template), [*LOCAL, "[::1]", host] if host in LOCAL else ["*"])
    if not quiet:
        remark(f"http://{host}:{sock.getsockname()[1]}/ shows {model}; Ctrl-C ends it")
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=PATIENCE))
    server.run(sockets=[sock])


def _bound(host: str, port: int):
    """A listening place, so that one that is taken is one line and no traceback."""
    import socket

    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        raise InputError(f"cannot listen on {host}:{port} ({error.strerror}); name another --port, or 0 for any that is free") from error
