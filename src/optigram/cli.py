"""The command line: each command a few lines over public functions, which are imported when they are needed."""

import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, cast

import typer
from rich.console import Console

from optigram import __version__
from optigram.errors import InputError

if TYPE_CHECKING:
    from optigram.papers.poerner2018.data import Dataset
    from optigram.papers.poerner2018.trainer import Training
    from optigram.study.judging import Request
    from optigram.study.records import Record

WIDE = 160  # characters of a table that is not shown on a terminal
FAILED, INTERRUPTED = 2, 130
PAPER = "poerner2018"
# click's UsageError, or that of the copy of click which newer versions of typer carry
UsageError = cast("type[typer.BadParameter]", typer.BadParameter.__mro__[1])

app = typer.Typer(name="optigram", add_completion=False, no_args_is_help=True)

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


def _show_version(asked: bool) -> bool:
    if asked:
        typer.echo(f"optigram {__version__}")
        raise typer.Exit
    return asked


@app.callback()
def options(
    version: Annotated[bool, typer.Option("--version", help="print the version", callback=_show_version, is_eager=True)] = False,
) -> None:
    """What text makes this neuron fire?"""


@app.command()
def demo(out: Out = None, as_json: Json = False, seed: Seed = 0, device: Device = "cpu", quiet: Quiet = False) -> None:
    """The paper's five methods on neurons of the bundled model, as a table like its Table 1."""
    from optigram.papers.poerner2018.demo import request, summary

    _run(request(seed, device), out, as_json, quiet, summary)


@app.command(context_settings={"ignore_unknown_options": True})
def find(
    model: Model,
    targets: Targets,
    by: Annotated[str, typer.Option(help="methods, by comma: crp, emb, logit, smx, gbl; gbl:faithful as the authors")] = "crp,gbl",
    length: Annotated[int | None, typer.Option(help="free words  [default: what the template asks for, or 5]")] = None,
    corpus: Annotated[str | None, typer.Option(help="for crp: .txt, .csv, .jsonl, .parquet, COCO .json, or sampled:N")] = None,
    budget: Annotated[float | None, typer.Option(help="forward-equivalents a target, for all methods but crp  [default: 5000]")] = None,
    top: Annotated[int, typer.Option(help="texts to keep of a target and method")] = 1,
    template: Around = None,
    chat: Chat = False,
    special: Annotated[bool, typer.Option("--special", help="let special tokens such as <unk> be proposed")] = False,
    without: Annotated[list[str] | None, typer.Option(help="a word that may not be proposed; may be given several times")] = None,
    matching: Annotated[str | None, typer.Option(help="propose only tokens in which this regular expression is found")] = None,
    words: Annotated[str, typer.Option(help="any tokens, or whole: words only, no pieces, numbers or punctuation")] = "any",
    seen_in: Annotated[str | None, typer.Option(help="propose only words that occur in this corpus")] = None,
    must_survive: Annotated[bool, typer.Option("--must-survive", help="drop texts that read otherwise once written out")] = False,
    fluency: Annotated[float, typer.Option(help="activation that a nat of surprisal per token costs")] = 0.0,
    surprisal: Annotated[str | None, typer.Option(help="keep only texts in this band, such as 2-6 nats per token")] = None,
    fluency_model: Surprised = None,
    out: Out = None,
    as_json: Json = False,
    seed: Seed = 0,
    device: Device = "cpu",
    dtype: Annotated[str, typer.Option(help="of the search: float32, bfloat16 or float16; the last word is float32's")] = "float32",
    quiet: Quiet = False,
) -> None:
    """Find the texts that make neurons fire most."""
    from optigram.study.judging import Request

    _refuse_options(targets)
    request = Request(
        model=model,
        targets=targets,
        by=[name.strip() for name in by.split(",")],
        length=length,
        corpus=corpus,
        budget=budget,
        top=top,
        template=template,
        special=special,
        seed=seed,
        device=device,
        chat=chat,
        without=without or (),
        matching=matching,
        words=words,
        seen_in=seen_in,
        must_survive=must_survive,
        fluency=fluency,
        surprisal=surprisal,
        fluency_model=fluency_model,
        dtype=dtype,
    )
    _run(request, out, as_json, quiet)


@app.command(context_settings={"ignore_unknown_options": True})
def score(
    model: Model,
    targets: Targets,
    text: Annotated[str, typer.Option(help="the free words")],
    template: Around = None,
    chat: Chat = False,
    surprisal: Annotated[bool, typer.Option("--surprisal", help="tell the surprisal too")] = False,
    fluency_model: Surprised = None,
    as_json: Json = False,
    device: Device = "cpu",
    quiet: Quiet = False,
) -> None:
    """The judge alone: the exact activation of a text."""
    from optigram.models.loading import load
    from optigram.study.find import judge
    from optigram.study.judging import Request, judge_of, remarks_on
    from optigram.text import known_ids

    _refuse_options(targets)
    network = load(model, device)
    ids = known_ids(text, network.vocabulary)
    if not ids:
        raise InputError("the text has no words; give --text with at least one")
    band = "0-" if surprisal else None
    request = Request(
        model, targets, (), len(ids), template=template, device=device, chat=chat, surprisal=band, fluency_model=fluency_model
    )
    objective = judge_of(request, network)
    for remark in () if quiet else remarks_on(objective):
        _remark(remark)
    _print(judge(objective, ids), as_json)


@app.command()
def sites(model: Model, as_json: Json = False) -> None:
    """What can be targeted in a model, with an address to copy."""
    import json
    from dataclasses import asdict

    from optigram.models.loading import load
    from optigram.report.trees import site_tree
    from optigram.study.listing import listing

    network = load(model)
    rows = [asdict(row) for row in listing(network)]
    if as_json:
        sys.stdout.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    else:
        _console().print(site_tree(network.name, rows))


@app.command()
def check(model: Model, as_json: Json = False, device: Device = "cpu") -> None:
    """Is a model read right? Try it on random texts; the exit code is 1 if a claim fails."""
    import json
    from dataclasses import asdict

    from optigram.models.checks import checks
    from optigram.models.loading import load
    from optigram.report.tables import check_table

    rows = [asdict(row) for row in checks(load(model, device))]
    if as_json:
        sys.stdout.writelines(json.dumps(row) + "\n" for row in rows)
    else:
        _console().print(check_table(rows))
    if not all(row["holds"] for row in rows):
        raise typer.Exit(1)


@app.command()
def data(
    name: Annotated[str, typer.Argument(help="coco, which the paper trains on, or flickr8k: both of zenodo.org/records/804392")],
    out: Annotated[Path, typer.Option(help="where the archive goes, and a folder NAME with what is wanted of it")] = Path("data"),
    archive: Annotated[Path | None, typer.Option(help="the record's data.tgz, already downloaded: nothing is fetched")] = None,
    quiet: Quiet = False,
) -> None:
    """Download captions and image features to train on, or unpack them; an interrupted download goes on."""
    from optigram.papers.poerner2018.obtain import obtain

    with _progress(quiet) as show:
        place, found = obtain(
            name,
            out,
            archive,
            tell=(lambda text: None) if quiet else _remark,
            watch=lambda done, total, what: show(done // 10**6, total // 10**6, f"{what}, MB"),
        )
    counts = ", ".join(f"{len(part):,} {split}" for split, part in found.parts.items())
    _remark(f"{place} holds {counts} captions; try: optigram train imaginet --data {place} --out imaginet-{name}")


@app.command()
def study(
    spec: Annotated[str, typer.Argument(help='a TOML file, or "poerner2018", the whole paper')],
    out: Annotated[Path | None, typer.Option(help="a folder for all results; what it holds already is not done again")] = None,
    scale: Annotated[str, typer.Option(help="of poerner2018: small (half an hour on two cores) or paper")] = "small",
    model: Annotated[str | None, typer.Option(help="of poerner2018: an Imaginet's folder  [default: imaginet]")] = None,
    corpus: Annotated[str | None, typer.Option(help="of poerner2018: captions for corpus search")] = None,
    data: Annotated[Path | None, typer.Option(help="of poerner2018: the paper's data, to train a model of its size on first")] = None,
    workers: Annotated[int | None, typer.Option(help="processes of one thread each  [default: one a core]", min=0)] = None,
    plan: Annotated[bool, typer.Option("--plan", help="say what it will cost, and do nothing")] = False,
    seed: Annotated[int, typer.Option(help="of poerner2018: decides every random number", min=0)] = 0,
    device: Device = "cpu",
    quiet: Quiet = False,
) -> None:
    """Targets x methods x seeds, cell by cell: may be killed, and goes on where it was."""
    from optigram.study.threads import cores

    processes = cores() if workers is None else workers
    folder = Path(out or ("poerner2018" if spec == PAPER else Path(spec).stem))
    tell = (lambda text: None) if quiet else _remark
    with _progress(quiet) as show:
        if spec == PAPER:
            from optigram.papers.poerner2018.reproduce import Reproduction, reproduce

            asked = Reproduction(scale, model or "imaginet", corpus, data, seed, device, processes)
            reproduce(asked, folder, tell, show, plan)
        else:
            _study_file(Path(spec), folder, device, processes, tell, show, plan)
    if not plan:
        _remark(f"all of it is in {folder}")


def _study_file(
    path: Path, folder: Path, device: str, workers: int, tell: Callable[[str], None], show: Callable[[int, int, str], None], plan: bool
) -> None:
    from optigram.report.comparisons import methods_grid, plan_grid
    from optigram.report.formats import plain
    from optigram.study.cells import Workshop, missing
    from optigram.study.conduct import CELLS, conduct
    from optigram.study.estimate import estimate
    from optigram.study.spec import read

    asked = read(path)
    workshop = Workshop(asked, device)
    todo = missing(workshop.cells(), folder / CELLS)
    if todo:
        tell(plain(plan_grid(estimate(workshop, todo), workers)))
    if not plan:
        _console().print(plain(methods_grid(conduct(asked, workshop, folder, workers, show))), highlight=False, markup=False)


@app.command()
def train(
    model: Annotated[str, typer.Argument(help="what to train: imaginet")],
    out: Annotated[Path, typer.Option(help="a folder for the model and its checkpoint; an interrupted run in it goes on")],
    data: Annotated[Path | None, typer.Option(help="a folder in Vendrov's or Karpathy's layout, with its own splits")] = None,
    restval: Annotated[bool, typer.Option(help="train on Karpathy's restval images too, as the paper does")] = True,
    captions: Annotated[list[str] | None, typer.Option(help="instead of --data: a corpus; may be given several times")] = None,
    images: Annotated[Path | None, typer.Option(help="with --captions: features as .npy, or an .npz with image_ids")] = None,
    rows: Annotated[Path | None, typer.Option(help="with an .npy: a text file, the image key of each row a line")] = None,
    embedding: Annotated[int, typer.Option(min=1)] = 1024,
    hidden: Annotated[int, typer.Option(min=1)] = 1024,
    alpha: Annotated[float, typer.Option(help="weight of the language loss", min=0, max=1)] = 0.1,
    rate: Annotated[float, typer.Option(help="of Adam")] = 1e-3,
    batch: Annotated[int, typer.Option(min=1)] = 16,
    epochs: Annotated[int, typer.Option(min=1)] = 1000,
    patience: Annotated[int, typer.Option(help="epochs without a lower validation loss", min=1)] = 10,
    dropout: Annotated[float, typer.Option(min=0, max=0.99)] = 0.0,
    rare: Annotated[float, typer.Option(help="how often a word seen once is read as <unk>", min=0, max=1)] = 0.0,
    decay: Annotated[bool, typer.Option("--decay", help="let the rate fall to zero over the epochs")] = False,
    held_out: Annotated[
        str, typer.Option(help="validate on captions of unseen images, or on any unseen captions: image, caption")
    ] = "image",
    half: Annotated[bool, typer.Option("--half", help="write the model in half precision")] = False,
    as_json: Json = False,
    seed: Seed = 123,
    device: Annotated[str | None, typer.Option(help="where to train  [default: cuda where there is one, or cpu]")] = None,
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
    found = _training_data(data, restval, captions, images, rows, settings)
    with _progress(quiet) as show:
        for metrics in train_imaginet(found, out, settings, device, half, show, None if quiet else _remark):
            if as_json:
                sys.stdout.write(json.dumps(metrics.to_dict()) + "\n")
            elif not quiet:
                _remark(str(metrics))
    _remark(f"the best epoch is in {out}; try: optigram sites {out}")


def _training_data(
    folder: Path | None, restval: bool, captions: list[str] | None, images: Path | None, rows: Path | None, settings: "Training"
) -> "Dataset":
    from optigram.papers.poerner2018.data import SHARES, read_captions, split
    from optigram.papers.poerner2018.features import read_images
    from optigram.papers.poerner2018.layouts import read_folder

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
    known = None if images is None else read_images(images, rows)
    return split(read_captions(captions or []), known, SHARES, settings.seed, settings.held_out)


def main() -> NoReturn:
    """Run a command. Bad input is one line on standard error and exit 2; Ctrl-C exits with 130."""
    try:
        code = app(standalone_mode=False)
    except InputError as error:
        code = _fail(str(error))
    except UsageError as error:
        code = _fail(error.format_message())
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    sys.exit(code if isinstance(code, int) else 0)


def _fail(message: str) -> int:
    sys.stderr.write(f"optigram: {' '.join(message.split())}\n")
    return FAILED


def _remark(text: str) -> None:
    Console(stderr=True).print(text, highlight=False, markup=False, soft_wrap=True)


def _console() -> Console:
    return Console() if sys.stdout.isatty() else Console(width=WIDE)


def _print(records: "Sequence[Record]", as_json: bool) -> None:
    if as_json:
        sys.stdout.writelines(record.to_json() + "\n" for record in records)
        return
    from optigram.report.tables import ngram_table

    if records:
        _console().print(ngram_table(records))


def _refuse_options(targets: list[str]) -> None:
    """A target may begin with a minus sign, so misspelt options arrive among the targets."""
    if option := next((target for target in targets if target.startswith("--")), None):
        raise InputError(f"no such option: {option}; see --help")


def _run(
    request: "Request", out: Path | None, as_json: bool, quiet: bool, closing: "Callable[[Sequence[Record]], str] | None" = None
) -> None:
    from optigram.study.runs import run

    with _progress(quiet) as show:
        finds = run(request, out, lambda total: _watch_search(show, total), (lambda text: None) if quiet else _remark)
    records = [record for one in finds for record in one.records]
    _print(records, as_json)
    if any(one.interrupted for one in finds):
        raise typer.Exit(INTERRUPTED)
    if closing is not None and not as_json:
        _console().print(f"\n{closing(records)}", highlight=False, markup=False)


@contextlib.contextmanager
def _progress(quiet: bool) -> Iterator[Callable[[int, int, str], None]]:
    """Show a bar with the time left on standard error, if that is a terminal: (done, of how many, what)."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=quiet or not console.is_terminal, transient=True) as progress:
        task = progress.add_task("", total=None)
        yield lambda done, total, what: progress.update(task, completed=done, total=total, description=what)


def _watch_search(show: Callable[[int, int, str], None], total: int) -> Callable[[str, int, Any], None]:
    def watch(method: str, done: int, best: Any) -> None:
        show(done, total, f"{method}: best {float(best.max()):.2f}")

    return watch
