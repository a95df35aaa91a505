"""Commands that search and score: demo, find, score, explain."""

import functools
import inspect
import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import typer
from pydantic.fields import FieldInfo

from optigram.apps.cli.options import Around, Chat, Device, FluencyModel, Json, Model, Out, Quiet, Seed, Targets
from optigram.apps.cli.output import INTERRUPTED, console, print_lines, print_records, tell
from optigram.errors import InputError, Interrupted
from optigram.runs.options import ConceptOptions, FindOptions, ObjectiveOptions, flag_of

PANEL = "Search"

OF_A_TEXT = {"template", "chat", "seed", "device"}  # options of `explain --text`
PANELS = ("Search", "Text", "Fluency", "Compute")  # of the options of a search, in the order of the help

app = typer.Typer()


def _panel(field: FieldInfo) -> str:
    extra: Any = field.json_schema_extra
    return extra["panel"]


def _parameter(name: str, kind: type[ObjectiveOptions]) -> inspect.Parameter:
    """The option of a field: its type as typer reads it, its help and its default, in words where those say more."""
    field = kind.model_fields[name]
    extra: Any = field.json_schema_extra
    choices = get_args(field.annotation) if get_origin(field.annotation) is Literal else ()
    help_ = f"{field.description}; one of {', '.join(map(str, choices))}" if choices else field.description
    default = ",".join(field.default) or None if isinstance(field.default, tuple) else field.default
    shown = extra["shown"] or not (default is None or isinstance(default, bool))
    option = typer.Option(flag_of(name, kind), help=help_, show_default=shown, rich_help_panel=extra["panel"])
    annotation = Annotated[_kind(field.annotation), option]
    return inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=default, annotation=annotation)


def _kind(annotation: Any) -> Any:
    """What typer makes of a field's type: a number, a switch, a list of texts, or a text."""
    plain = [part for part in get_args(annotation) if part is not type(None)] or [annotation]
    if plain[0] in (int, float):
        return plain[0] | None
    if annotation is bool:
        return bool
    return list[str] | None if annotation == tuple[str, ...] else str | None


def _with_options(kind: type[ObjectiveOptions]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command one option per field of an options model; the command gets them together as `options`."""

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(command)
        def call(**values: Any) -> None:
            given = {name: values.pop(name) for name in kind.model_fields}
            chosen = {name: value for name, value in given.items() if value is not None}
            command(options=kind.checked(chosen, functools.partial(flag_of, options=kind)), **values)

        own = [one for one in inspect.signature(command).parameters.values() if one.name != "options"]
        made = [_parameter(name, kind) for name in kind.model_fields]
        made.sort(key=lambda one: PANELS.index(_panel(kind.model_fields[one.name])))
        arguments = [one for one in own if one.default is inspect.Parameter.empty]
        call.__signature__ = inspect.Signature([*arguments, *made, *(one for one in own if one not in arguments)])  # pyright: ignore[reportAttributeAccessIssue]
        call.__annotations__ = {one.name: one.annotation for one in [*own, *made]}
        return call

    return decorate


@app.command("demo", rich_help_panel=PANEL)
def _demo(out: Out = None, as_json: Json = False, seed: Seed = 0, device: Device = None, quiet: Quiet = False) -> None:
    """Run the paper's five methods on six neurons of the bundled model (about two minutes)."""
    from optigram.papers.poerner2018.demo import ALL_METHODS, BUDGET, MODEL, TARGETS, summary

    options = FindOptions(by=ALL_METHODS, budget=BUDGET, seed=seed, device=device)
    found = _found(MODEL, list(TARGETS), options, out, as_json, quiet)
    if not as_json:
        typer.echo(f"\n{summary(found)}")


@app.command("find", rich_help_panel=PANEL, context_settings={"ignore_unknown_options": True})
@_with_options(FindOptions)
def _find(model: Model, targets: Targets, options: FindOptions, out: Out = None, as_json: Json = False, quiet: Quiet = False) -> None:
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
@_with_options(ConceptOptions)
def _explain(
    model: Model,
    targets: Targets,
    options: ConceptOptions,
    text: Annotated[
        str | None, typer.Option(help="explain this text, or with a template its free words", show_default="the neuron")
    ] = None,
    top: Annotated[int, typer.Option(help="with --text: substitutions per word", min=1)] = 5,
    whole: Annotated[
        bool, typer.Option("--whole", help="with --text: try every word in every position, not only those that the gradient ranks high")
    ] = False,
    save: Annotated[Path | None, typer.Option("--save", help="a JSON file for the concepts", rich_help_panel="Output")] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Explain neurons: the kinds of texts to which they respond, patterns and contrasts. With --text: what a text depends on.

    A text: which words matter, what would be better, and whether their order matters.
    """
    if text is None:
        _concepts(model, targets, options, save, as_json, quiet)
        return
    from optigram.api import explain as explained

    if foreign := sorted(name for name in options.model_fields_set - OF_A_TEXT if getattr(options, name) != _default(name)):
        raise InputError(f"expected no {flag_of(foreign[0], ConceptOptions)} beside --text; leave one of them out")
    found = explained(
        model, targets, text, n=top, whole=whole, template=options.template, chat=options.chat, seed=options.seed, device=options.device
    )
    if as_json:
        sys.stdout.writelines(json.dumps(asdict(one), ensure_ascii=False) + "\n" for one in found)
    else:
        found.show(console())


def _default(name: str) -> Any:
    return ConceptOptions.model_fields[name].default


def _concepts(model: str, targets: list[str], options: ConceptOptions, save: Path | None, as_json: bool, quiet: bool) -> None:
    """Print the concepts of neurons; after a Ctrl-C those of the neurons that were done, and exit with 130."""
    from optigram.api import concepts

    interrupted = None
    try:
        found = concepts(model, targets, quiet=quiet, **dict(options))
    except Interrupted as error:
        found = interrupted = error.results
    if as_json:
        print_lines(one.to_json() for one in found)
    elif len(found):
        found.show(console())
    if save is not None and len(found):
        found.save(save)
    if interrupted is not None:
        tell(f"interrupted; kept {len(found)} targets")
        raise typer.Exit(INTERRUPTED)


def _found(model: str, targets: list[str], options: FindOptions, out, as_json: bool, quiet: bool):
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
