"""The paper from data to figures: train where a model is wanted, study it, and write what the paper shows and claims."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from optigram.engine.job import Engine
from optigram.errors import InputError
from optigram.files import written_whole
from optigram.models.imaginet import Imaginet
from optigram.models.loading import BUNDLED, CONFIG, load
from optigram.papers.poerner2018 import omission, syntax
from optigram.papers.poerner2018.claims import claims, claims_grid, placebo_grid, ranking
from optigram.papers.poerner2018.layouts import read_folder
from optigram.papers.poerner2018.recipe import FAIR, FAITHFUL, MODERN, PATHS, RECIPES, gumbel_operations, study, with_groups
from optigram.papers.poerner2018.table1 import table1
from optigram.papers.poerner2018.train import train
from optigram.papers.poerner2018.trainer import Training
from optigram.report import figures
from optigram.report.comparisons import methods_grid, plan_grid
from optigram.report.formats import FORMATS, markdown, plain
from optigram.runs.records import Record
from optigram.study.cells import StudyContext, missing
from optigram.study.estimate import estimate
from optigram.study.runner import CELLS, Show, run_study

TITLES = {"language": "language path", "visual": "visual path"}
LABELS = ("crp", "emb", "logit", "smx", "gbl")
CAPTIONS = "captions.txt"
OMITTED = 2000  # sentences whose words are left out one by one


@dataclass(frozen=True)
class Reproduction:
    """What is asked for. `data`: a folder with the paper's data, to train a model of the paper's size on first.

    `engine` None: `workers` processes.
    """

    scale: str
    model: str = BUNDLED
    corpus: str | None = None
    data: Path | None = None
    seed: int = 0
    device: str = "cpu"
    workers: int = 1
    engine: Engine | None = None


def reproduce(asked: Reproduction, out: Path, tell: Callable[[str], None], show: Show, plan_only: bool = False) -> list[Record]:
    """Do all that is not done yet in the folder `out`; gives the study's records (none of a plan)."""
    figures.require_matplotlib()
    if asked.scale not in RECIPES:
        raise InputError(f"expected --scale {' or '.join(RECIPES)}, got {asked.scale!r}")
    model, corpus = _trained(asked, out, tell, show) if asked.data is not None else (asked.model, asked.corpus)
    if asked.scale == "paper" and model == BUNDLED:
        raise InputError(
            "the paper's scale needs a model of its size: give --data FOLDER to train one (see optigram data coco), or --model"
        )
    network = load(model, device=asked.device)
    if not isinstance(network, Imaginet):
        raise InputError(f"the paper studies an Imaginet, got {network.name}; give --model a folder that `optigram train` wrote")
    recipe = study(asked.scale, network, corpus, asked.seed)
    recipe = with_groups(recipe, asked.scale, network, StudyContext(recipe, asked.device).ngrams)
    workshop = StudyContext(recipe, asked.device)
    tell(f"corpus: {workshop.corpus.name}: {len(workshop.ngrams):,} different 5-grams")
    tell(f"a gumbel step of one neuron with 64 samples: {gumbel_operations(network) / 1e9:.2g} GFLOP")
    todo = missing(workshop.cells(), out / CELLS)
    if todo:
        tell(plain(plan_grid(estimate(workshop, todo), asked.workers)))
    if plan_only:
        return []
    records = run_study(recipe, workshop, out, asked.workers, show, asked.engine)
    tell("figures, tables and claims")
    _draw(records, out)
    _write_tables(records, workshop, out)
    return records


def _draw(records: Sequence[Record], out: Path) -> None:
    """Figure 1 as the paper draws it and normalised, of our settings and of the authors' and fair ones; and the curves."""
    arms = {arm: [record for record in records if record.arm == arm] for arm in (MODERN, FAITHFUL, FAIR)}
    for arm, name in ((MODERN, "figure1"), (FAITHFUL, "figure1-faithful"), (FAIR, "figure1-fair")):
        methods = list(dict.fromkeys(record.method for record in arms[arm]))
        figures.save(figures.by_method(arms[arm], methods, TITLES), out / name)
        figures.save(figures.by_method(arms[arm], methods, TITLES, normalised=True), out / f"{name}-normalised")
    figures.save(figures.curves(arms[MODERN], LABELS[1:], TITLES), out / "budget")


def _write_tables(records: Sequence[Record], workshop: StudyContext, out: Path) -> None:
    """`table1` in every format, and `claims.md`."""
    grid = table1(records, MODERN)
    for suffix, render in FORMATS.items():
        _write(out / f"table1.{suffix}", render(grid))
    _write(out / "claims.md", _claims_page(records, workshop))


def _claims_page(records: Sequence[Record], workshop: StudyContext) -> str:
    """All claims of the paper beside what these records say, in Markdown."""
    orders = [f"- {arm}, {site}: {' > '.join(ranking(records, arm, site))}" for arm in (FAITHFUL, FAIR, MODERN) for site in PATHS]
    about = f"Model: {workshop.model.name}. Corpus: {workshop.corpus.name}, {len(workshop.ngrams):,} different 5-grams."
    return "\n".join(
        [
            "# The paper's claims, measured\n",
            about,
            "\nSettings: *faithful* are the authors' own, each method with its own budget; *fair* are theirs with the same "
            "forward-equivalents for every method, restarts included; *modern* are ours, at equal forward-equivalents. "
            "A method's name says by how much the authors' runs were shortened (`/200`: 200 times fewer steps at a rate as much higher, "
            "8 noise samples instead of 64). Intervals are 95%, over neurons. A claim holds if the interval of its paired "
            "median difference lies on its side of zero.\n",
            "## Which method finds the highest activations\n",
            markdown(claims_grid(claims(records))),
            "The paper's ranking is gbl > crp > the others. Here, by median ratio to crp:\n",
            *orders,
            "\n## Every method against corpus search\n",
            markdown(methods_grid(records)),
            "The paper gives 0.24 as the cosine between emb's optimised embeddings and their nearest words.\n",
            "## How much of a gain is the optimizer's\n",
            "The same search for random directions in the place of neurons, and in a model that was never trained. A ratio as large there "
            "as for neurons says that beating a corpus is no sign of a neuron's meaning.\n",
            markdown(placebo_grid(records)),
            *_witnesses(records, workshop),
        ]
    )


def _witnesses(records: Sequence[Record], workshop: StudyContext) -> tuple[str, str]:
    """The syntax finding of our settings' optimal 5-grams, and of omission scores of the corpus's sentences, in Markdown."""
    model, sentences = workshop.model, list(workshop.corpus.texts())
    assert isinstance(model, Imaginet)
    found = syntax.measure([record for record in records if record.arm == MODERN], sentences, workshop.ngrams, model.vocabulary.tokens)
    omitted = omission.omissions(model, omission.usable(model, sentences, OMITTED))
    return syntax.section(found), omission.section(omitted, found.contrasts)


def _trained(asked: Reproduction, out: Path, tell: Callable[[str], None], show: Show) -> tuple[str, str]:
    """A model of the paper's size in `out`/model, trained on `asked.data` as far as it is not yet, and its captions."""
    assert asked.data is not None
    if asked.model != BUNDLED or asked.corpus is not None:
        raise InputError("--data brings its own model and corpus; leave out --model and --corpus")
    data = read_folder(asked.data)
    folder = out / "model"
    for metrics in train(data, folder, Training(), asked.device, watch=show, tell=tell):
        tell(str(metrics))
    if not (folder / CONFIG).exists():
        raise InputError(f"no epoch of training brought a model into {folder}; look at the data")
    captions = out / CAPTIONS
    if not captions.exists():  # authors' code: 5-grams of train, test and validation captions
        _write(captions, "".join(" ".join(words) + "\n" for part in data.parts.values() for words in part.words))
    return str(folder), str(captions)


def _write(path: Path, text: str) -> None:
    with written_whole(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
