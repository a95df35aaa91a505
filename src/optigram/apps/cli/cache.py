"""The command about the cache."""

from typing import Annotated

import typer

PANEL = "Models"

app = typer.Typer()


@app.command("cache", rich_help_panel=PANEL)
def _cache(clear: Annotated[bool, typer.Option("--clear", help="remove everything that is kept")] = False) -> None:
    """Show where and how much optigram keeps between calls, or clear it.

    Corpus searches leave there what the next neuron of the same site needs, trials which batch sizes a model needs, models the texts
    that they sampled, and GGUF files what they were converted to.
    """
    from optigram.models.gguf import CACHE
    from optigram.runs.cache import Cache

    kept = Cache.usual()
    sizes = kept.sizes() | {CACHE.kind: CACHE.bytes()}
    for kind, size in sizes.items():
        typer.echo(f"{kind}: {size / 1e6:,.1f} MB")
    typer.echo(f"{sum(sizes.values()) / 1e6:,.1f} MB of at most {(kept.most + CACHE.room) / 1e6:,.0f} MB in {kept.folder}")
    if clear:
        typer.echo(f"removed {(CACHE.clear() + kept.clear()) / 1e6:,.1f} MB")
