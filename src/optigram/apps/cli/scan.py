"""Commands that scan a corpus: scan, and its steps work and merge by themselves; and export of what was found."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from optigram.apps.cli.find import refuse_options
from optigram.apps.cli.options import Address, Device, EngineName, Json, Model, Quiet, Seed, Targets
from optigram.apps.cli.output import console, progress, remark
from optigram.errors import InputError

if TYPE_CHECKING:
    from optigram.engine.job import Engine, Job
    from optigram.scanning.results import ScanResults
    from optigram.scanning.worker import Worker

app = typer.Typer()

Folder = Annotated[Path, typer.Argument(help="the folder of a scan, with its plan.json")]
Tokenizers = Annotated[int, typer.Option(help="processes that tokenise ahead of the model (0: a thread)", min=0)]
Batch = Annotated[int | None, typer.Option(help="texts that wait for one another, at the most; changes memory, not results")]
Workers = Annotated[int | None, typer.Option(help="of the engines processes and ray  [default: one a core]", min=1)]


@app.command(context_settings={"ignore_unknown_options": True})
def scan(
    model: Model,
    targets: Targets,
    corpus: Annotated[list[str] | None, typer.Option(help="a file, a glob, hf:NAME[@REVISION][:SPLIT]; may be given several times")] = None,
    out: Annotated[Path | None, typer.Option(help="a folder for all of it; shards that it holds already are not read again")] = None,
    question: Annotated[str, typer.Option(help="context: the best places; alone: the best n-grams, each judged by itself")] = "context",
    length: Annotated[int, typer.Option(help="of n-grams that are judged alone")] = 5,
    top: Annotated[int, typer.Option(help="places to keep of each target, highest and lowest")] = 20,
    context: Annotated[int, typer.Option(help="tokens that are read at a time")] = 256,
    skipped: Annotated[int | None, typer.Option(help="first positions to leave out  [default: 1, in recurrent models 0]", min=0)] = None,
    special: Annotated[bool, typer.Option("--special", help="count special tokens too")] = False,
    per_document: Annotated[int, typer.Option(help="places of one document that may be kept")] = 1,
    fold: Annotated[int, typer.Option(help="of places that end in so many equal tokens keep the first only (0: keep all)")] = 8,
    sample: Annotated[int, typer.Option(help="places that are drawn at random, with all their values")] = 200,
    tokens: Annotated[int | None, typer.Option(help="tokens of a forward  [default: 512, elsewhere than on a CPU 16384]")] = None,
    shards: Annotated[int | None, typer.Option(help="how many  [default: as many as have 64 MB of text]", min=1)] = None,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="pass over what cannot be read, and name it")] = False,
    plan: Annotated[bool, typer.Option("--plan", help="write the plan to --out, and read nothing")] = False,
    engine: EngineName = "local",
    workers: Workers = None,
    ray_address: Address = None,
    tokenizers: Tokenizers = 0,
    batch: Batch = None,
    dtype: Annotated[str, typer.Option(help="of the weights: float32, bfloat16, float16, or as they were saved")] = "saved",
    as_json: Json = False,
    seed: Seed = 0,
    device: Device = "cpu",
    quiet: Quiet = False,
) -> None:
    """Find the places of a corpus where neurons fire most and least, all of them in one pass."""
    import dataclasses
    import tempfile

    from optigram.models.loading import load
    from optigram.scanning.plan import ScanSettings
    from optigram.scanning.scan import plan_of
    from optigram.scanning.worker import Worker
    from optigram.targets.target import resolve
    from optigram.text.sources import Corpus, sources

    refuse_options(targets)
    if plan and out is None:
        raise InputError("a plan is written to a folder; give --out DIR")
    place, device = _place_and_device(device)
    if place[1] > 1 and out is None:
        raise InputError(f"this is one of {place[1]} processes, which share a folder; give --out DIR")
    network = load(model, device, None if dtype == "saved" else dtype)
    asked = {"question": question, "length": length, "top": top, "context": context, "skipped": skipped, "special": special}
    asked |= {"per_document": per_document, "fold": fold, "sample": sample, "tokens": tokens, "seed": seed}
    settings, chosen = ScanSettings.for_model(network, **asked), resolve(targets, network.sites, network.vocabulary)
    texts = Corpus(" + ".join(corpus), sources(corpus)) if corpus else None
    made = plan_of(network, model, chosen, texts, settings, None, shards, dtype, skip_bad)
    if plan and out is not None:
        made.write(out)
        remark(f"{len(made.shards)} shards are planned in {out}; read them with: optigram work {out} --rank R --world N")
        return
    run = _engine(engine, workers, ray_address, device)
    with tempfile.TemporaryDirectory() as temporary:
        folder = out or Path(temporary)
        job = Worker.job(folder, device, tokenizers, batch)
        worker = Worker(made, network, tokenizers, batch, chosen)
        if engine == "local":  # this process has the model already
            job = dataclasses.replace(job, build=lambda: worker)
        found = _carry_out(worker, folder, run, job, quiet, place)
    if found is not None:
        _show(found, as_json, quiet)


@app.command()
def work(
    folder: Folder,
    rank: Annotated[int | None, typer.Option(help="this process  [default: as torchrun, srun or Slurm say, or 0]", min=0)] = None,
    world: Annotated[int | None, typer.Option(help="of so many  [default: likewise, or 1]", min=1)] = None,
    engine: EngineName = "local",
    workers: Workers = None,
    ray_address: Address = None,
    tokenizers: Tokenizers = 0,
    batch: Batch = None,
    device: Device = "cpu",
    quiet: Quiet = False,
) -> None:
    """Read the shards of a plan that fall to this process and are missing; any number of processes may do so at a time."""
    from optigram.engine.launch import checked_place
    from optigram.scanning.plan import Plan
    from optigram.scanning.scan import run_shards
    from optigram.scanning.worker import Worker

    if (rank is None) != (world is None):
        raise InputError("give --rank and --world together, or neither")
    place, device = _place_and_device(device)
    place = place if rank is None or world is None else checked_place(rank, world)
    made, run = Plan.read(folder), _engine(engine, workers, ray_address, device)
    with progress(quiet) as show:
        read = sum(1 for _ in run_shards(made, folder, Worker.job(folder, device, tokenizers, batch), run, show, place))
    if not quiet:
        remark(f"{read} shards read; {len(made.missing(folder))} of {len(made.shards)} are missing in {folder}")


@app.command()
def merge(folder: Folder, as_json: Json = False, device: Device = "cpu", quiet: Quiet = False) -> None:
    """Join the shards of a scan that are done, all or some, and show what was found."""
    from optigram.scanning.merge import merged, publish
    from optigram.scanning.plan import Plan
    from optigram.scanning.results import ScanResults
    from optigram.scanning.worker import Worker

    state = merged(Plan.read(folder), folder)
    with progress(quiet) as show:
        publish(state, Worker.start(folder, device), folder, show)
    _show(ScanResults.load(folder), as_json, quiet)


def _engine(name: str, workers: int | None, address: str | None, device: str) -> "Engine":
    from optigram.engine.launch import engine_named
    from optigram.engine.threads import cores

    return engine_named(name, workers or cores(), address, device != "cpu")


def _place_and_device(device: str) -> tuple[tuple[int, int], str]:
    """The place of this process among those that were started together, and its device."""
    import torch

    from optigram.engine.launch import own_device, place_in_world

    return place_in_world() or (0, 1), own_device(device, torch.cuda.device_count())


def _carry_out(worker: "Worker", folder: Path, engine: "Engine", job: "Job", quiet: bool, place: tuple[int, int]) -> "ScanResults | None":
    """Read what is missing and falls to this process, and merge, unless others are still to bring theirs."""
    from optigram.scanning.scan import run_scan, run_shards

    plan = worker.plan
    with progress(quiet) as show:
        for _ in run_shards(plan, folder, job, engine, show, place):
            pass
        if missing := plan.missing(folder):
            rank, world = place
            remark(f"process {rank} of {world} has read its shards; {len(missing)} of {len(plan.shards)} are missing in {folder}")
            return None
        return run_scan(worker, folder, show)


def _show(found: "ScanResults", as_json: bool, quiet: bool) -> None:
    import json

    from optigram.report.scan_tables import scan_table, summary

    for bad in () if quiet else found.about["skipped"]:
        remark(f"skipped: {bad}")
    if as_json:
        tops = (row for target in found for row in found.of(target))
        sys.stdout.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in tops)
        return
    console().print(scan_table(found))
    if not quiet:
        remark(summary(found))


@app.command()
def export(
    folder: Folder,
    out: Annotated[Path, typer.Option(help="a file (csv) or folder")],
    kind: Annotated[str, typer.Option("--as", help="csv, neuronpedia (bulk import) or openai (NeuronRecord)")] = "csv",
) -> None:
    """Write what a scan found for other tools."""
    from optigram.scanning.export.formats import export as write
    from optigram.scanning.results import ScanResults

    write(ScanResults.load(folder), kind, out)


@app.command()
def push(
    folder: Annotated[Path, typer.Argument(help="the folder of a scan, search or study")],
    repository: Annotated[str, typer.Argument(help="OWNER/NAME on the Hugging Face Hub")],
    private: Annotated[bool, typer.Option("--private", help="for yourself alone")] = False,
) -> None:
    """Upload a finished folder as a data set of the Hub."""
    from optigram.scanning.export.hub import push as upload

    remark(f"all of it is in {upload(folder, repository, private)}")


@app.command()
def curve(
    folder: Folder,
    target: Annotated[str, typer.Argument(help="the address of a target that was scanned")],
    out: Annotated[Path, typer.Option(help="where to write .svg, .pdf and .png")],
    records: Annotated[list[Path] | None, typer.Option(help="folders of `optigram find`, whose best activations become lines")] = None,
) -> None:
    """Draw the best activation against the size of the corpus, and what searches reached."""
    from optigram.report.figures import require_matplotlib, save
    from optigram.report.scan_tables import corpus_curve, levels_of
    from optigram.runs.records import read
    from optigram.scanning.results import ScanResults

    require_matplotlib()
    found = [record for each in records or () for record in read(each / "records.parquet")]
    save(corpus_curve(ScanResults.load(folder), target, levels_of(found, target)), out)
