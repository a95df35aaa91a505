"""The command that tests descriptions: verify."""

from pathlib import Path
from typing import Annotated

import typer

from optigram.apps.cli.options import Device, Json, Model, Quiet, Seed, Targets
from optigram.apps.cli.output import console, print_lines, progress, tell
from optigram.errors import InputError

PANEL = "Search"

app = typer.Typer()


@app.command("verify", rich_help_panel=PANEL, context_settings={"ignore_unknown_options": True})
def _verify(
    model: Model,
    targets: Targets = [],  # noqa: B006 - typer reads the default
    label: Annotated[str, typer.Option(help="the description; or a .csv file with the columns target and description")] = "",
    judge: Annotated[
        list[str] | None,
        typer.Option(
            help="who says whether a text fits: an encoder, a language model, the address of a server, or lexical; twice for two judges",
            show_default="all-MiniLM-L6-v2 where it is installed, else lexical",
        ),
    ] = None,
    corpus: Annotated[str | None, typer.Option(help="texts to test on: a file, glob, hf:NAME or sampled:N")] = None,
    budget: Annotated[float | None, typer.Option(help="forward-equivalents per description", show_default="4000")] = None,
    prompts: Annotated[Path | None, typer.Option(help="a folder with detect.txt and fuzz.txt, for language models that judge")] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="a .jsonl file that results are appended to; what it holds is not tested again", rich_help_panel="Output"),
    ] = None,
    as_json: Json = False,
    seed: Seed = 0,
    device: Device = None,
    quiet: Quiet = False,
) -> None:
    """Test a description of a neuron: prediction, counterexamples, sensitivity, each beside its placebo."""
    from optigram.explaining.ground import Ground
    from optigram.explaining.labels import Labels
    from optigram.explaining.verify import verify
    from optigram.models.loading import load
    from optigram.targets.target import resolve

    if label.lower().endswith(".csv"):
        if targets:
            raise InputError(
                f"expected no target beside --label FILE.csv, whose column target names them, got {targets[0]!r}; leave it out"
            )
        asked = Labels.read(Path(label))
    elif len(targets) == 1:
        asked = Labels([(targets[0], label)])
    else:
        raise InputError(f"expected one target and --label TEXT, or --label FILE.csv and none, got {len(targets)} targets")
    network = load(model, device=device)
    pairs = [(*resolve(target, network), description) for target, description in asked.pairs]
    if several := next((target for (target, _), pair in zip(asked.pairs, pairs, strict=True) if len(pair) != 2), None):
        raise InputError(f"expected one neuron per description, got {several!r}; give each a row of its own")
    kept = Labels.finished(out, network.name, seed)
    if not quiet and (done := sum((str(Ground.peak(target)), text) in kept for target, text in pairs)):
        tell(f"{done} of {len(pairs)} descriptions were tested before and stand in {out}")
    remark = (lambda text: None) if quiet else tell
    with progress(quiet) as show:
        for number, found in enumerate(verify(network, pairs, judge, corpus, budget, seed, prompts=prompts, tell=remark, known=kept)):
            show(number + 1, len(pairs), found.target)
            if out is not None and (found.target, found.description) not in kept:
                Labels.append(out, found)
            if as_json:
                print_lines([found.to_json()])
            else:
                found.show(console())
