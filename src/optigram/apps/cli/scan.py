"""Commands that scan a corpus: scan, and its steps work and merge by themselves; and export of what was found."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from optigram.apps.cli.options import Address, AllowImports, Device, EngineName, Json, Model, Quiet, Seed, Targets, device_of
from optigram.apps.cli.output import console, print_lines, progress, tell
from optigram.errors import InputError, one_line

if TYPE_CHECKING:
    from optigram.engine.job import Engine, Job
    from optigram.engine.launch import Place
    from optigram.scanning.results import ScanTables
    from optigram.scanning.worker import Worker

PANEL = "Scan a corpus"

app = typer.Typer()

Folder = Annotated[Path, typer.Argument(help="the folder of a scan")]
Tokenizers = Annotated[int, typer.Option(help="processes that tokenize ahead of the model (0: one thread)", min=0)]
Batch = Annotated[int | None, typer.Option(help="largest number of texts held at once; changes memory, not results")]
Workers = Annotated[int | None, typer.Option(help="processes of the engines processes and ray", show_default="one per core", min=1)]


@app.command("scan", rich_help_panel=PANEL, context_settings={"ignore_unknown_options": True})
def _scan(
    model: Model,
    targets: Targets,
    corpus: Annotated[list[str] | None, typer.Option(help="a file, a glob, or hf:NAME@REVISION:SPLIT; repeatable")] = None,
    out: Annotated[Path | None, typer.Option(help="a folder for the results; a scan that was stopped resumes there")] = None,
    question: Annotated[str, typer.Option(help="context: positions in their documents; alone: n-grams, each scored by itself")] = "context",
    length: Annotated[int, typer.Option(help="length of the n-grams of --question alone")] = 5,
    top: Annotated[int, typer.Option(help="highest and lowest positions to keep per target")] = 20,
    context: Annotated[int, typer.Option(help="tokens per text window")] = 256,
    skipped: Annotated[
        int | None, typer.Option(help="first positions to leave out", show_default="1, in recurrent models 0", min=0)
    ] = None,
    special: Annotated[bool, typer.Option("--special", help="include special tokens")] = False,
    per_document: Annotated[int, typer.Option(help="largest number of positions kept per document")] = 1,
    fold: Annotated[int, typer.Option(help="keep one of the positions whose last N tokens are equal (0: keep all)")] = 8,
    sample: Annotated[int, typer.Option(help="random positions, kept with all their values")] = 200,
    tokens: Annotated[int | None, typer.Option(help="tokens per forward pass", show_default="512 on a CPU, else 16384")] = None,
    shards: Annotated[int | None, typer.Option(help="number of shards", show_default="one per 64 MB of text", min=1)] = None,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="skip what cannot be read, and list it")] = False,
    plan: Annotated[bool, typer.Option("--plan", help="write the plan to --out and stop")] = False,
    engine: EngineName = "local",
    workers: Workers = None,
    ray_address: Address = None,
    tokenizers: Tokenizers = 0,
    batch: Batch = None,
    dtype: Annotated[str, typer.Option(help="dtype of the weights: float32, bfloat16, float16, or saved")] = "saved",
    as_json: Json = False,
    seed: Seed = 0,
    device: Device = None,
    quiet: Quiet = False,
) -> None:
    """Find the positions in a corpus where neurons fire most and least, in one pass for all neurons."""
    import dataclasses
    import tempfile

    from optigram.models.loading import load
    from optigram.scanning.plan import ScanSettings
    from optigram.scanning.scan import plan_of
    from optigram.scanning.worker import Worker
    from optigram.targets.target import resolve
    from optigram.text.sources import Corpus

    if plan and out is None:
        raise InputError("--plan: expected a folder to write to; give --out DIR")
    place, device = _place_and_device(device)
    if place.world > 1 and out is None:
        raise InputError(f"this is one of {place.world} processes, which share a folder; give --out DIR")
    network = load(model, device=device, dtype=None if dtype == "saved" else dtype)
    asked = {"question": question, "length": length, "top": top, "context": context, "skipped": skipped, "special": special}
    asked |= {"per_document": per_document, "fold": fold, "sample": sample, "tokens": tokens, "seed": seed}
    settings, chosen = ScanSettings.for_model(network, **asked), resolve(targets, network)
    texts = Corpus.of(corpus) if corpus else None
    for remark in texts.remarks if texts is not None and not quiet else ():
        tell(remark)
    made = plan_of(network, model, chosen, texts, settings, None, shards, dtype, skip_bad)
    if plan and out is not None:
        made.write(out)
        tell(f"{len(made.shards)} shards are planned in {out}; read them with: optigram work {out} --rank R --world N")
        return
    run = _engine(engine, workers, ray_address, device)
    with tempfile.TemporaryDirectory() as temporary:
        folder = out or Path(temporary)
        job = Worker.job(folder, device, tokenizers, batch, allow_imports=True)  # the user named the model in this call
        worker = Worker(made, network, tokenizers, batch, chosen)
        if engine == "local":  # this process has the model already
            job = dataclasses.replace(job, build=lambda: worker)
        found = _carry_out(worker, folder, run, job, quiet, place)
    if found is not None:
        _show(found, as_json, quiet)


@app.command("work", rich_help_panel=PANEL)
def _work(
    folder: Folder,
    rank: Annotated[
        int | None, typer.Option(help="rank of this process", show_default="from torchrun, srun or Slurm, else 0", min=0)
    ] = None,
    world: Annotated[int | None, typer.Option(help="number of processes", show_default="likewise, else 1", min=1)] = None,
    engine: EngineName = "local",
    workers: Workers = None,
    ray_address: Address = None,
    tokenizers: Tokenizers = 0,
    batch: Batch = None,
    allow_imports: AllowImports = False,
    device: Device = None,
    quiet: Quiet = False,
) -> None:
    """Read the missing shards of a planned scan that belong to this process. Any number of processes may run at a time."""
    from optigram.engine.launch import Place
    from optigram.scanning.plan import Plan
    from optigram.scanning.scan import run_shards
    from optigram.scanning.worker import Worker

    if (rank is None) != (world is None):
        raise InputError("give --rank and --world together, or neither")
    place, device = _place_and_device(device)
    place = place if rank is None or world is None else Place(rank, world)
    made, run = Plan.read(folder), _engine(engine, workers, ray_address, device)
    with progress(quiet) as show:
        read = sum(1 for _ in run_shards(made, folder, Worker.job(folder, device, tokenizers, batch, allow_imports), run, show, place))
    if not quiet:
        tell(f"{read} shards read; {len(made.missing(folder))} of {len(made.shards)} are missing in {folder}")


@app.command("merge", rich_help_panel=PANEL)
def _merge(folder: Folder, as_json: Json = False, allow_imports: AllowImports = False, device: Device = None, quiet: Quiet = False) -> None:
    """Merge the finished shards of a scan and show the result."""
    from optigram.scanning.merge import merged, publish
    from optigram.scanning.plan import Plan
    from optigram.scanning.results import ScanTables
    from optigram.scanning.worker import Worker

    state = merged(Plan.read(folder), folder)
    with progress(quiet) as show:
        publish(state, Worker.start(folder, device, allow_imports=allow_imports), folder, show)
    _show(ScanTables.load(folder), as_json, quiet)


def _engine(name: str, workers: int | None, address: str | None, device: str) -> "Engine":
    from optigram.engine.launch import Place
    from optigram.engine.threads import cores

    return Place.engine_named(name, workers or cores(), address, device != "cpu")


def _place_and_device(device: str | None) -> "tuple[Place, str]":
    """The place of this process among those that were started together, and its device."""
    import torch

    from optigram.engine.launch import Place

    return Place.launched() or Place(), Place.device(device_of(device), torch.cuda.device_count())


def _carry_out(worker: "Worker", folder: Path, engine: "Engine", job: "Job", quiet: bool, place: "Place") -> "ScanTables | None":
    """Read what is missing and falls to this process, and merge, unless others are still to bring theirs."""
    from optigram.scanning.scan import run_scan, run_shards

    plan = worker.plan
    with progress(quiet) as show:
        for _ in run_shards(plan, folder, job, engine, show, place):
            pass
        if missing := plan.missing(folder):
            tell(f"process {place.rank} of {place.world} has read its shards; {len(missing)} of {len(plan.shards)} are missing in {folder}")
            return None
        return run_scan(worker, folder, show)


def _show(found: "ScanTables", as_json: bool, quiet: bool) -> None:
    from optigram.report.scan_tables import scan_table, summary

    for bad in () if quiet else found.about["skipped"]:
        tell(one_line(f"skipped: {bad}"))
    if as_json:
        tops = (row for target in found for row in found.of(target))
        print_lines(tops)
        return
    console().print(scan_table(found))
    if not quiet:
        tell(summary(found))


@app.command("export", rich_help_panel=PANEL)
def _export(
    folder: Folder,
    out: Annotated[Path, typer.Option(help="a file (csv) or folder")],
    kind: Annotated[str, typer.Option("--as", help="csv, neuronpedia (bulk import) or openai (NeuronRecord)")] = "csv",
    records: Annotated[list[Path] | None, typer.Option(help="folders of find, whose texts neuronpedia gets too; repeatable")] = None,
    labels: Annotated[Path | None, typer.Option(help="what optigram verify --out wrote: descriptions for neuronpedia")] = None,
) -> None:
    """Export a scan for other tools, with optimized texts and tested descriptions where the format has a place for them."""
    from dataclasses import asdict

    from optigram.explaining.labels import Labels
    from optigram.runs.records import RecordFile
    from optigram.scanning.export.added import Added
    from optigram.scanning.export.formats import export as write
    from optigram.scanning.results import ScanTables

    if labels is not None and not labels.is_file():
        raise InputError(f"--labels: expected a file that optigram verify --out wrote, got {str(labels)!r}")
    texts = [asdict(record) for each in records or () for record in RecordFile.read(each / "records.parquet")]
    found = [one.to_json() for one in Labels.finished(labels).values()]
    write(ScanTables.load(folder), kind, out, Added(texts, found) if texts or found else None)


@app.command("push", rich_help_panel=PANEL)
def _push(
    folder: Annotated[Path, typer.Argument(help="the folder of a scan, search or study")],
    repository: Annotated[str, typer.Argument(help="OWNER/NAME on the Hugging Face Hub")],
    private: Annotated[bool, typer.Option("--private", help="make it private")] = False,
) -> None:
    """Upload a finished folder to the Hugging Face Hub as a data set."""
    from optigram.scanning.export.hub import push as upload

    tell(f"all of it is in {upload(folder, repository, private)}")


@app.command("curve", rich_help_panel=PANEL)
def _curve(
    folder: Folder,
    target: Annotated[str, typer.Argument(help="the address of a target that was scanned")],
    out: Annotated[Path, typer.Option(help="where to write .svg, .pdf and .png")],
    records: Annotated[list[Path] | None, typer.Option(help="folders of find; their best activations become lines")] = None,
) -> None:
    """Plot the highest activation against the size of the corpus, with the level of each search."""
    from optigram.report.figures import require_matplotlib, save
    from optigram.report.scan_tables import corpus_curve
    from optigram.runs.records import RecordFile
    from optigram.scanning.results import ScanTables

    require_matplotlib()
    found = [record for each in records or () for record in RecordFile.read(each / "records.parquet")]
    save(corpus_curve(ScanTables.load(folder), target, found), out)
