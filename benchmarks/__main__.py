"""The command line: `python -m benchmarks list | run NAME | show NAME | open make, run or score`."""

import json
from pathlib import Path
from typing import Annotated

import torch
import typer

from benchmarks import results, show
from benchmarks.case import Case, run_case
from benchmarks.open.commands import app as open_benchmark
from benchmarks.registry import CASES, named
from benchmarks.setup import Settings
from optigram.errors import InputError

app = typer.Typer(add_completion=False, help=__doc__, pretty_exceptions_enable=False)
app.add_typer(open_benchmark, name="open")
Results = Annotated[Path, typer.Option(help="The file of results, one JSON object per line.")]


@app.command("list")
def list_cases() -> None:
    """List the cases."""
    width = max(len(case.name) for case in CASES)
    for case in CASES:
        typer.echo(f"{case.name:{width}}  {case.description}")


@app.command()
def run(
    name: Annotated[str, typer.Argument(help="A case, or a folder of cases such as speed.")],
    model: Annotated[str | None, typer.Option(help="imaginet, minilm, smollm2, small-gpt2, or a folder, Hub id or GGUF file.")] = None,
    corpus: Annotated[list[str] | None, typer.Option(help="A file of sentences; may be given several times.")] = None,
    sites: Annotated[str | None, typer.Option(help="Sites, separated by commas.")] = None,
    targets: Annotated[int | None, typer.Option(help="Neurons per site.")] = None,
    by: Annotated[str | None, typer.Option(help="Methods, separated by commas.")] = None,
    budget: Annotated[list[float] | None, typer.Option(help="Forward-equivalents per neuron; may be given several times.")] = None,
    seeds: Annotated[int | None, typer.Option(help="How many seeds, from 0.")] = None,
    length: Annotated[int | None, typer.Option(help="Free words of a text.")] = None,
    sentences: Annotated[int | None, typer.Option(help="Sentences of each corpus at the most.")] = None,
    option: Annotated[list[str] | None, typer.Option(help="An option of the case, as NAME=VALUE; may be given several times.")] = None,
    threads: Annotated[int, typer.Option(help="Threads of torch.")] = 1,
    results: Results = results.RESULTS,
    again: Annotated[bool, typer.Option("--again", help="Measure what was measured at this commit once more.")] = False,
) -> None:
    """Measure what is missing of a case, and append it to the results."""
    torch.set_num_threads(threads)
    listed = {"corpus": corpus, "budgets": budget, "sites": _split(sites), "by": _split(by)}
    single = {"model": model, "targets": targets, "seeds": seeds, "length": length, "sentences": sentences}
    given = {key: tuple(value) for key, value in listed.items() if value} | {
        key: value for key, value in single.items() if value is not None
    }
    options = dict(map(_option, option or []))
    for case in named(name):
        for row in run_case(case, _settings(case, given, options), results, again):
            told = ", ".join(f"{key} {value}" for key, value in row.metrics.items())
            typer.echo(f"{row.case} {json.dumps(dict(row.settings), ensure_ascii=False)}: {told}")


@app.command("show")
def show_results(
    name: Annotated[str | None, typer.Argument(help="A case.")] = None,
    wanted: Annotated[list[str] | None, typer.Argument(help="Settings to pick rows by, as NAME=VALUE.")] = None,
    form: Annotated[str, typer.Option("--format", help="md (a table) or svg (a plot).")] = "md",
    docs: Annotated[bool, typer.Option("--docs", help="Rewrite the tables and plots of the documentation instead.")] = False,
    results: Results = results.RESULTS,
) -> None:
    """Print a case's results as a Markdown table or an SVG plot."""
    if docs:
        for page in show.rewrite_docs(results):
            typer.echo(f"rewrote {page.name}")
        return
    if name is None or form not in ("md", "svg"):
        raise InputError("expected a case and --format md or svg, or --docs; list the cases with: python -m benchmarks list")
    (case,) = named(name)
    block = show.Block.parse(case.name, wanted or [])
    typer.echo(show.table(case, block, results) if form == "md" else show.plot(case, block, results))


def _settings(case: Case, given: dict, options: dict[str, str]) -> Settings:
    return case.settings(**given, options={**case.defaults.options, **options})


def _split(text: str | None) -> list[str]:
    return text.split(",") if text else []


def _option(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise InputError(f"expected NAME=VALUE, got {text!r}")
    return name, value


if __name__ == "__main__":
    try:
        app()
    except InputError as error:
        raise SystemExit(f"error: {error}") from None
