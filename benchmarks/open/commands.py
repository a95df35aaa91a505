"""`python -m benchmarks open make | run | score`: write the directory, search it with optigram or another tool, and score submissions."""

import json
import time
from pathlib import Path
from typing import Annotated

import torch
import typer

from benchmarks import results, show
from benchmarks.open import running, scoring, tools
from benchmarks.open.directory import Directory
from benchmarks.open.making import make as make_directory
from benchmarks.registry import named
from benchmarks.results import RESULTS
from optigram.study.statistics import grouped

app = typer.Typer(help=__doc__, add_completion=False, pretty_exceptions_enable=False)
Folder = Annotated[Path, typer.Argument(help="The directory of the benchmark.")]


@app.command()
def make(
    folder: Annotated[Path, typer.Argument(help="A new directory.")],
    minilm: Annotated[Path | None, typer.Option(help="The folder of MiniLM, for targets in it.")] = None,
    smollm2: Annotated[Path | None, typer.Option(help="The folder or GGUF file of SmolLM2, for targets in it.")] = None,
) -> None:
    """Train the small networks, find every optimum, and write the directory (some minutes on one core)."""
    torch.set_num_threads(1)
    begun = time.process_time()
    told = make_directory(folder, {"minilm": minilm, "smollm2": smollm2})
    typer.echo(json.dumps(told | {"processor_seconds": round(time.process_time() - begun)}))


@app.command()
def run(
    folder: Folder,
    by: Annotated[str, typer.Option(help="Methods of optigram, or tools such as tropt:gcg, separated by commas.")] = "auto,coordinate,gcg",
    budget: Annotated[float, typer.Option(help="Forward-equivalents per target.")] = 3000,
    seeds: Annotated[int, typer.Option(help="How many seeds, from 0.")] = 3,
    sets: Annotated[str, typer.Option(help="Sets, separated by commas; all by default.")] = "",
    targets: Annotated[int | None, typer.Option(help="The first so many targets of each set.")] = None,
) -> None:
    """Search what was not searched yet, and append it to DIR/runs/TOOL-BUDGET.jsonl."""
    torch.set_num_threads(1)
    directory = Directory.open(folder)
    by_set = grouped(directory.of(*filter(None, sets.split(","))), lambda target: target["set"])
    chosen = [target for of_set in by_set.values() for target in of_set[:targets]]
    (folder / "runs").mkdir(exist_ok=True)
    for method in by.split(","):
        file, begun = folder / "runs" / f"{method.replace(':', '_').replace('/', '_')}-{budget:.0f}.jsonl", time.process_time()
        search = tools.run if method.partition(":")[0] in tools.KINDS else running.run
        for model, count in search(directory, chosen, method, budget, seeds, file):
            typer.echo(f"{method}: {count} targets of {model}")
        typer.echo(f"{file.name}: {time.process_time() - begun:.0f} processor seconds")


@app.command()
def score(
    folder: Folder,
    files: Annotated[list[Path], typer.Argument(help="Submissions, JSON lines; the name of a file, without endings, is the tool's.")],
    save: Annotated[bool, typer.Option("--save", help="Keep the scores in the results of the repository.")] = False,
    results_file: Annotated[Path, typer.Option("--results", help="The file of results.")] = RESULTS,
) -> None:
    """Score submissions side by side; what they found best becomes the best known."""
    (case,) = named(scoring.NAME)
    made = scoring.rows(Directory.open(folder), files)
    if save:
        results.append(results_file, made)
    typer.echo(show.table_of(case, made))
