"""Commands of studies and of the paper: study, data, train."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from optigram.apps.cli.options import Address, Device, EngineName, Json, Quiet, Seed, device_of
from optigram.apps.cli.output import console, progress, tell
from optigram.errors import InputError

if TYPE_CHECKING:
    from optigram.engine.job import Engine
    from optigram.papers.poerner2018.data import Dataset
    from optigram.papers.poerner2018.trainer import Training

PAPER, DESCRIPTIONS = "poerner2018", "descriptions"

PANEL = "Studies and the paper"

app = typer.Typer()


@app.command("study", rich_help_panel=PANEL)
def _study(
    spec: Annotated[
        str,
        typer.Argument(help='a TOML file, "poerner2018" for the paper, or "descriptions": do optimized texts help to describe neurons?'),
    ],
    out: Annotated[Path | None, typer.Option(help="a folder for the results; a study that was stopped resumes there")] = None,
    scale: Annotated[
        str, typer.Option(help="of poerner2018: small (half an hour on two cores), medium (a day) or paper; of descriptions: small or full")
    ] = "small",
    model: Annotated[str, typer.Option(help="of poerner2018 and descriptions: an Imaginet's folder")] = "imaginet",
    corpus: Annotated[str | None, typer.Option(help="of poerner2018 and descriptions: captions for corpus search")] = None,
    encoder: Annotated[
        str | None, typer.Option(help="of descriptions: an encoder such as all-MiniLM-L6-v2, whose units are studied too and which judges")
    ] = None,
    encoder_corpus: Annotated[
        str | None, typer.Option(help="of descriptions: texts for the encoder's units", show_default="captions")
    ] = None,
    captions: Annotated[
        str | None, typer.Option(help="of poerner2018, medium: captions of which corpus search reads ever larger parts")
    ] = None,
    data: Annotated[Path | None, typer.Option(help="of poerner2018: the paper's data, to train a model of its size on first")] = None,
    engine: EngineName = "processes",
    workers: Annotated[int | None, typer.Option(help="number of processes, of one thread each", show_default="one per core", min=0)] = None,
    ray_address: Address = None,
    plan: Annotated[bool, typer.Option("--plan", help="print the estimated cost and stop")] = False,
    seed: Annotated[int, typer.Option(help="of poerner2018 and descriptions: seed of all random numbers", min=0)] = 0,
    device: Device = None,
    quiet: Quiet = False,
) -> None:
    """Run a study: targets x methods x seeds. A study that was stopped resumes where it was."""
    from optigram.engine.launch import Place
    from optigram.engine.threads import cores

    processes = 0 if engine == "local" else cores() if workers is None else workers
    run = Place.engine_named(engine, processes, ray_address, device != "cpu")
    folder = Path(out or (spec if spec in (PAPER, DESCRIPTIONS) else Path(spec).stem))
    device = device_of(device)
    say = (lambda text: None) if quiet else tell
    with progress(quiet) as show:
        if spec == PAPER:
            from optigram.papers.poerner2018.reproduce import Reproduction

            asked = Reproduction(scale, model, corpus, data, seed, device, processes, run, captions)
            asked.run(folder, say, show, plan)
        elif spec == DESCRIPTIONS:
            from optigram.papers.descriptions.run import DescriptionStudy

            if plan:
                raise InputError("expected no --plan with descriptions, whose cost is in its page; try --scale small, which takes minutes")
            places = {"model": model, "corpus": corpus, "encoder": encoder, "encoder_corpus": encoder_corpus, "seed": seed}
            DescriptionStudy.of(scale, processes, run, device, **places).run(folder, say, show)
        else:
            _study_file(Path(spec), folder, device, processes, run, say, show, plan)
    if spec == DESCRIPTIONS:
        tell(f"all of it is in {folder}: descriptions.md, table.md and the records")
    elif not plan:
        tell(f"all of it is in {folder}; see it with: optigram report {folder}")


def _study_file(
    path: Path,
    folder: Path,
    device: str,
    workers: int,
    engine: "Engine",
    say: Callable[[str], None],
    show: Callable[[int, int, str], None],
    plan: bool,
) -> None:
    from optigram.report.comparisons import methods_grid, plan_grid
    from optigram.study.cells import StudyContext
    from optigram.study.estimate import estimate
    from optigram.study.runner import CELLS, run_study
    from optigram.study.spec import Study

    asked = Study.read(path)
    workshop = StudyContext(asked, device)
    todo = workshop.missing(folder / CELLS)
    for remark in workshop.corpus.remarks if workshop.fingerprints()["corpus"] else ():
        say(remark)
    if todo:
        say(plan_grid(estimate(workshop, todo), workers).plain())
    if not plan:
        console().print(methods_grid(run_study(asked, workshop, folder, workers, show, engine)).plain(), highlight=False, markup=False)


@app.command("data", rich_help_panel=PANEL)
def _data(
    name: Annotated[str, typer.Argument(help="coco, which the paper trains on, or flickr8k: both of zenodo.org/records/804392")],
    out: Annotated[Path, typer.Option(help="folder for the archive and the extracted data")] = Path("data"),
    archive: Annotated[Path | None, typer.Option(help="the data.tgz of the record, if it was downloaded already")] = None,
    quiet: Quiet = False,
) -> None:
    """Download or unpack captions and image features for training. An interrupted download resumes."""
    from optigram.papers.poerner2018.obtain import obtain

    with progress(quiet) as show:
        place, found = obtain(
            name,
            out,
            archive,
            tell=(lambda text: None) if quiet else tell,
            watch=lambda done, total, what: show(done // 10**6, total // 10**6, f"{what}, MB"),
        )
    counts = ", ".join(f"{len(part):,} {split}" for split, part in found.parts.items())
    tell(f"{place} holds {counts} captions; try: optigram train imaginet --data {place} --out imaginet-{name}")


@app.command("train", rich_help_panel=PANEL)
def _train(
    model: Annotated[str, typer.Argument(help="what to train: imaginet")],
    out: Annotated[Path, typer.Option(help="a folder for the model and its checkpoint; an interrupted run resumes there")],
    data: Annotated[Path | None, typer.Option(help="a folder in Vendrov's or Karpathy's layout, with its splits")] = None,
    restval: Annotated[bool, typer.Option(help="also train on Karpathy's restval images, as the paper does")] = True,
    captions: Annotated[list[str] | None, typer.Option(help="instead of --data: a corpus; repeatable")] = None,
    images: Annotated[Path | None, typer.Option(help="with --captions: features as .npy, or an .npz with image_ids")] = None,
    rows: Annotated[Path | None, typer.Option(help="with an .npy: a text file with one image key per line")] = None,
    embedding: Annotated[int, typer.Option(min=1)] = 1024,
    hidden: Annotated[int, typer.Option(min=1)] = 1024,
    alpha: Annotated[float, typer.Option(help="weight of the language loss", min=0, max=1)] = 0.1,
    rate: Annotated[float, typer.Option(help="learning rate of Adam")] = 1e-3,
    batch: Annotated[int, typer.Option(min=1)] = 16,
    epochs: Annotated[int, typer.Option(min=1)] = 1000,
    patience: Annotated[int, typer.Option(help="epochs without a lower validation loss before stopping", min=1)] = 10,
    dropout: Annotated[float, typer.Option(min=0, max=0.99)] = 0.0,
    rare: Annotated[float, typer.Option(help="probability that a word seen once is read as <unk>", min=0, max=1)] = 0.0,
    decay: Annotated[bool, typer.Option("--decay", help="decay the learning rate to zero over the epochs")] = False,
    held_out: Annotated[
        str, typer.Option(help="validate on captions of unseen images (image) or on any unseen captions (caption)")
    ] = "image",
    half: Annotated[bool, typer.Option("--half", help="save the model in half precision")] = False,
    as_json: Json = False,
    seed: Seed = 123,
    device: Annotated[str | None, typer.Option(help="where to train", show_default="cuda where there is one, else cpu")] = None,
    quiet: Quiet = False,
) -> None:
    """Train an Imaginet on captions; the defaults are the paper's."""
    import json

    from optigram.papers.poerner2018.train import train as train_imaginet
    from optigram.papers.poerner2018.trainer import Training

    if model != "imaginet":
        raise InputError(f"expected `optigram train imaginet`, got {model!r}")
    if held_out not in ("image", "caption"):
        raise InputError(f"expected --held-out image or caption, got {held_out!r}")
    settings = Training(embedding, hidden, alpha, rate, batch, epochs, patience, dropout, rare, decay, held_out=held_out, seed=seed)
    found = _training_data(data, restval, captions, images, rows, settings, (lambda text: None) if quiet else tell)
    with progress(quiet) as show:
        for metrics in train_imaginet(found, out, settings, device, half, show, None if quiet else tell):
            if as_json:
                sys.stdout.write(json.dumps(metrics.to_dict()) + "\n")
            elif not quiet:
                tell(str(metrics))
    tell(f"the best epoch is in {out}; try: optigram sites {out}")


def _training_data(
    folder: Path | None,
    restval: bool,
    captions: list[str] | None,
    images: Path | None,
    rows: Path | None,
    settings: "Training",
    say: Callable[[str], None],
) -> "Dataset":
    from optigram.papers.poerner2018.data import SHARES, Dataset
    from optigram.papers.poerner2018.features import Images
    from optigram.papers.poerner2018.layouts import read_folder
    from optigram.text.sources import open_corpus

    if (folder is None) == (not captions):
        raise InputError("expected either --data FOLDER or --captions FILE, got both or neither; see optigram train --help")
    if folder is not None:
        if images is not None or rows is not None or settings.held_out != "image":
            raise InputError(
                "--images, --rows and --held-out belong to --captions: a --data folder brings its features and splits; drop them"
            )
        return read_folder(folder, restval)
    if rows is not None and images is None:
        raise InputError("--rows names the rows of --images; give --images with the features as .npy")
    known = None if images is None else Images.read(images, rows)
    given = [open_corpus(source) for source in captions or []]
    for remark in (remark for corpus in given for remark in corpus.remarks):
        say(remark)
    documents = (document for corpus in given for document in corpus.documents())
    return Dataset.split(documents, known, SHARES, settings.seed, settings.held_out)
