"""The command that tests descriptions: verify."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from optigram.apps.cli.options import Device, Json, Model, Quiet, Seed, Targets
from optigram.apps.cli.output import console, print_lines, progress, tell
from optigram.errors import InputError

if TYPE_CHECKING:
    from optigram.explaining.evidence import Evidence

PANEL = "Search"

app = typer.Typer()


@app.command("verify", rich_help_panel=PANEL, context_settings={"ignore_unknown_options": True})
def _verify(
    model: Model,
    targets: Targets = [],  # noqa: B006 - typer reads the default
    label: Annotated[
        str,
        typer.Option(
            help="the description, by default that of the evidence; or a .csv file with the columns target and description (and model)"
        ),
    ] = "",
    judge: Annotated[
        list[str] | None,
        typer.Option(
            help="who says whether a text fits: an encoder, a language model, the address of a server, or lexical; twice for two judges",
            show_default="all-MiniLM-L6-v2 where it is installed, else lexical",
        ),
    ] = None,
    evidence: Annotated[
        Path | None, typer.Option(help="what optigram explain --save wrote: its texts are left out of the test, its patterns are tried")
    ] = None,
    corpus: Annotated[str | None, typer.Option(help="texts to test on: a file, glob, hf:NAME or sampled:N")] = None,
    budget: Annotated[float | None, typer.Option(help="forward-equivalents per description", show_default="3000")] = None,
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
    from optigram.explaining.descriptions import describe
    from optigram.explaining.ground import Ground
    from optigram.explaining.labels import Labels
    from optigram.explaining.verify import verify
    from optigram.models.loading import load
    from optigram.targets.target import resolve

    seen = None if evidence is None else _evidence(evidence, targets)
    if label.lower().endswith(".csv"):
        if targets:
            raise InputError(
                f"expected no target beside --label FILE.csv, whose column target names them, got {targets[0]!r}; leave it out"
            )
        asked = None
    elif len(targets) == 1:
        asked = Labels([(targets[0], label or (describe(seen)[0].text if seen else ""))])
    else:
        raise InputError(f"expected one target and --label TEXT, or --label FILE.csv and none, got {len(targets)} targets")
    network = load(model, device=device)
    asked = Labels.read(Path(label), network.name) if asked is None else asked
    resolved = [(resolve(target, network), target, description) for target, description in asked.pairs]
    if several := next((target for found, target, _ in resolved if len(found) != 1), None):
        raise InputError(f"expected one neuron per description, got {several!r}; give each a row of its own")
    pairs = [(found[0], description) for found, _, description in resolved]
    how = {"judge": judge or None, "corpus": corpus, "budget": budget}
    kept = Labels.finished(out, network.name, seed, how)
    if not quiet and (done := sum((str(Ground.peak(target)), text) in kept for target, text in pairs)):
        tell(f"{done} of {len(pairs)} descriptions were tested before and stand in {out}")
    remark = (lambda text: None) if quiet else tell
    results = verify(network, pairs, judge, corpus, budget, seed, seen, prompts, remark, kept)
    with progress(quiet) as show:
        for number, found in enumerate(results):
            show(number + 1, len(pairs), found.target)
            if out is not None and (found.target, found.description) not in kept:
                Labels.append(out, found, how)
            if as_json:
                print_lines([found.to_json()])
            else:
                found.show(console())


@app.command("describe", rich_help_panel=PANEL)
def _describe(
    evidence: Annotated[Path, typer.Argument(help="what optigram explain --save wrote")],
    by: Annotated[str | None, typer.Option(help="a language model that writes too: a name, a folder, a GGUF file, or an address")] = None,
    prompts: Annotated[Path | None, typer.Option(help="a folder with describe.txt, the prompt")] = None,
    as_json: Json = False,
) -> None:
    """Describe neurons in a sentence each: by a template over their patterns, and by a language model."""
    from optigram.explaining.descriptions import describe
    from optigram.explaining.language import RemoteModel
    from optigram.models.loading import load
    from optigram.report.evidences import Evidences

    opened = by if by is None or RemoteModel.is_address(by) else load(by)  # once for all of them
    for one in Evidences.open(evidence):
        found = describe(one, opened, prompts)
        if as_json:
            print_lines(
                {"model": one.model, "target": one.target, "text": each.text, "by": each.by, "problem": each.problem, "saw": each.saw}
                for each in found
            )
            continue
        for each in found:
            console().print(f"{one.target} ({each.by}): {each.text or each.problem}", highlight=False, markup=False, soft_wrap=True)


def _evidence(file: Path, targets: list[str]) -> "Evidence":
    """The evidence of the one target in a file. Raises InputError where there is none."""
    from optigram.report.evidences import Evidences

    found = [one for one in Evidences.open(file) if targets == [one.target]]
    if not found:
        raise InputError(f"expected one target of which there is evidence in {file}, got {', '.join(targets) or 'none'}")
    return found[0]
