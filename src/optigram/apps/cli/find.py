"""Commands that search and score: demo, find, score, explain."""

import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from optigram.apps.cli.options import Around, Chat, Device, FluencyModel, Json, Model, Out, Quiet, Seed, Targets, with_find_options
from optigram.apps.cli.output import INTERRUPTED, console, print_records, tell
from optigram.errors import Interrupted

if TYPE_CHECKING:
    from optigram.runs.options import FindOptions

PANEL = "Search"

app = typer.Typer()


@app.command("demo", rich_help_panel=PANEL)
def _demo(out: Out = None, as_json: Json = False, seed: Seed = 0, device: Device = None, quiet: Quiet = False) -> None:
    """Run the paper's five methods on six neurons of the bundled model (about two minutes)."""
    from optigram.papers.poerner2018.demo import MODEL, TARGETS, options, summary

    found = _found(MODEL, list(TARGETS), options(seed, device), out, as_json, quiet)
    if not as_json:
        typer.echo(f"\n{summary(found)}")


@app.command("find", rich_help_panel=PANEL, context_settings={"ignore_unknown_options": True})
@with_find_options
def _find(model: Model, targets: Targets, options: "FindOptions", out: Out = None, as_json: Json = False, quiet: Quiet = False) -> None:
    """Find the texts that make neurons fire most.

    The first search of the bundled model takes about half a minute on two cores; larger models take longer.
    """
    _found(model, targets, options, out, as_json, quiet)


@app.command("score", rich_help_panel=PANEL, context_settings={"ignore_unknown_options": True})
def _score(
    model: Model,
    targets: Targets,
    text: Annotated[list[str], typer.Option(help="a text, or with a template its free words; repeatable")],
    template: Around = None,
    chat: Chat = False,
    surprisal: Annotated[bool, typer.Option("--surprisal", help="report the surprisal too, in nats per token")] = False,
    fluency_model: FluencyModel = None,
    as_json: Json = False,
    device: Device = None,
    quiet: Quiet = False,
) -> None:
    """Score texts: their exact activation."""
    from optigram.api import score as scored

    found = scored(
        model, targets, text, template=template, chat=chat, surprisal=surprisal, fluency_model=fluency_model, device=device, quiet=quiet
    )
    print_records(found, as_json)


@app.command("explain", rich_help_panel=PANEL, context_settings={"ignore_unknown_options": True})
def _explain(
    model: Model,
    targets: Targets,
    text: Annotated[str, typer.Option(help="a text, or with a template its free words")],
    top: Annotated[int, typer.Option(help="substitutions per word", min=1)] = 5,
    whole: Annotated[
        bool, typer.Option("--whole", help="try every word in every position, not only those that the gradient ranks high")
    ] = False,
    template: Around = None,
    chat: Chat = False,
    as_json: Json = False,
    seed: Seed = 0,
    device: Device = None,
) -> None:
    """Explain a text: which words matter, what would be better, and whether their order matters."""
    from optigram.api import explain as explained

    found = explained(model, targets, text, n=top, whole=whole, template=template, chat=chat, seed=seed, device=device)
    if as_json:
        sys.stdout.writelines(json.dumps(asdict(one), ensure_ascii=False) + "\n" for one in found)
    else:
        found.show(console())


def _found(model: str, targets: list[str], options: "FindOptions", out, as_json: bool, quiet: bool):
    """Run a search and print what it found; after a Ctrl-C print that, and exit with 130."""
    from optigram.api import find as search

    try:
        found = search(model, targets, out=out, quiet=quiet, **dict(options))
    except Interrupted as error:
        print_records(error.results, as_json)
        tell(f"interrupted; kept {len(error.results)} texts")
        raise typer.Exit(INTERRUPTED) from error
    print_records(found, as_json)
    return found
