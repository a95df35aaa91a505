"""What several commands are asked for in the same words."""

from pathlib import Path
from typing import Annotated

import typer

Model = Annotated[str, typer.Argument(help='"imaginet", the bundled one; a Hub id (gpt2, gpt2@REVISION); a folder; a GGUF file')]
Targets = Annotated[list[str], typer.Argument(help="addresses such as language:umbrella, visual:0-9@max, -visual:pizza")]
Json = Annotated[bool, typer.Option("--json", help="records on standard output, a JSON object a line, and nothing else")]
Seed = Annotated[int, typer.Option(help="decides every random number", min=0)]
Device = Annotated[str, typer.Option(help="where the model runs, such as cpu or cuda")]
Quiet = Annotated[bool, typer.Option("--quiet", help="no progress, no remarks")]
Around = Annotated[str | None, typer.Option("--template", help='fixed words around the free ones: "a woman under an {}", "{3} and {2}"')]
Chat = Annotated[bool, typer.Option("--chat", help="the template is what a user says, in the model's chat template")]
Surprised = Annotated[str | None, typer.Option("--fluency-model", help="whose surprisal counts  [default: the model itself]")]
Out = Annotated[Path | None, typer.Option("--out", help="a new folder for records.parquet and manifest.json")]
EngineName = Annotated[str, typer.Option("--engine", help="where the work is done: local, processes or ray")]
Address = Annotated[str | None, typer.Option("--ray-address", help='a running Ray cluster, such as "auto"  [default: one of its own]')]
