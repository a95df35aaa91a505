"""Options that several commands share, and those of a search, which are read from `FindOptions`."""

from pathlib import Path
from typing import Annotated

import typer

from optigram.errors import InputError

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
Out = Annotated[
    Path | None,
    typer.Option(
        "--out", help="a new folder for records.parquet and manifest.json, in which a killed search goes on", rich_help_panel="Output"
    ),
]
AllowImports = Annotated[
    bool, typer.Option("--allow-imports", help="run the code that the folder names by an import path, such as my_module:factory")
]
EngineName = Annotated[str, typer.Option("--engine", help="where the work runs: local, processes or ray")]
Address = Annotated[str | None, typer.Option("--ray-address", help='a running Ray cluster, such as "auto"', show_default="a new local one")]


def device_of(device: str | None) -> str:
    """The device that is asked for, by default the GPU where there is one."""
    from optigram.models.loading import device_named

    return device or str(device_named(None))
