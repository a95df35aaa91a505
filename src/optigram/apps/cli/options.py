"""Options that several commands share, and those of a search, which are read from `FindOptions`."""

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import typer
from pydantic.fields import FieldInfo

from optigram.errors import InputError
from optigram.runs.options import FindOptions, flag_of

Model = Annotated[
    str,
    typer.Argument(help='"imaginet" (bundled), a Hub id such as gpt2 or gpt2@REVISION, a folder, a GGUF file, or package.module:factory'),
]


def _no_options(targets: list[str]) -> list[str]:
    """A target may begin with a minus sign, so unknown options arrive among the targets. Raises InputError for the first."""
    if option := next((target for target in targets if target.startswith("--")), None):
        raise InputError(f"no such option: {option}; see --help")
    return targets


Targets = Annotated[
    list[str], typer.Argument(help="addresses such as language:umbrella, visual:0-9@max, -visual:pizza", callback=_no_options)
]
Json = Annotated[bool, typer.Option("--json", help="write JSON lines to standard output", rich_help_panel="Output")]
Seed = Annotated[int, typer.Option(help="seed of all random numbers", min=0)]
Device = Annotated[
    str | None, typer.Option(help="where the model runs", show_default="cuda where there is one, else cpu", rich_help_panel="Compute")
]
Quiet = Annotated[bool, typer.Option("--quiet", help="no progress and no remarks", rich_help_panel="Output")]
Around = Annotated[str | None, typer.Option("--template", help='fixed words around the free ones: "a woman under an {}", "{3} and {2}"')]
Chat = Annotated[bool, typer.Option("--chat", help="put the template into the model's chat template, as the user's message")]
FluencyModel = Annotated[
    str | None, typer.Option("--fluency-model", help="the language model that measures surprisal", show_default="the model itself")
]
Out = Annotated[Path | None, typer.Option("--out", help="a new folder for records.parquet and manifest.json", rich_help_panel="Output")]
AllowImports = Annotated[
    bool, typer.Option("--allow-imports", help="run the code that the folder names by an import path, such as my_module:factory")
]
EngineName = Annotated[str, typer.Option("--engine", help="where the work runs: local, processes or ray")]
Address = Annotated[str | None, typer.Option("--ray-address", help='a running Ray cluster, such as "auto"', show_default="a new local one")]


def device_of(device: str | None) -> str:
    """The device that is asked for, by default the GPU where there is one."""
    from optigram.models.loading import device_named

    return device or str(device_named(None))


PANELS = ("Search", "Text", "Fluency", "Compute")  # of the options of a search, in the order of the help


def with_find_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command one option per field of `FindOptions`; the command gets them together as `options`."""

    @functools.wraps(command)
    def call(**values: Any) -> None:
        given = {name: values.pop(name) for name in FindOptions.model_fields}
        command(options=FindOptions.checked({name: value for name, value in given.items() if value is not None}, flag_of), **values)

    own = [one for one in inspect.signature(command).parameters.values() if one.name != "options"]
    made = [_parameter(name, field) for name, field in FindOptions.model_fields.items()]
    made.sort(key=lambda one: PANELS.index(_panel(one.name)))
    arguments = [one for one in own if one.default is inspect.Parameter.empty]
    call.__signature__ = inspect.Signature([*arguments, *made, *(one for one in own if one not in arguments)])  # pyright: ignore[reportAttributeAccessIssue]
    call.__annotations__ = {one.name: one.annotation for one in [*own, *made]}
    return call


def _panel(name: str) -> str:
    extra: Any = FindOptions.model_fields[name].json_schema_extra
    return extra["panel"]


def _parameter(name: str, field: FieldInfo) -> inspect.Parameter:
    """The option of a field: its type as typer reads it, its help and its default, in words where those say more."""
    extra: Any = field.json_schema_extra
    choices = get_args(field.annotation) if get_origin(field.annotation) is Literal else ()
    help_ = f"{field.description}; one of {', '.join(map(str, choices))}" if choices else field.description
    default = ",".join(field.default) or None if isinstance(field.default, tuple) else field.default
    shown = extra["shown"] or not (default is None or isinstance(default, bool))
    option = typer.Option(flag_of(name), help=help_, show_default=shown, rich_help_panel=extra["panel"])
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
