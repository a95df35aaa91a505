"""Reproduce the paper: train a model if asked, study it, write its figures, tables and claims."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from optigram.engine.job import Engine
from optigram.errors import InputError
from optigram.files import written_whole
from optigram.models.imaginet import Imaginet
from optigram.models.loading import BUNDLED, CONFIG, bundled, load, read_config
from optigram.papers.poerner2018 import show as show_pages
from optigram.papers.poerner2018.growth import Growth
from optigram.papers.poerner2018.layouts import read_folder
from optigram.papers.poerner2018.measures import Measures
from optigram.papers.poerner2018.omission import OmissionTable
from optigram.papers.poerner2018.recipe import RECIPES, study
from optigram.papers.poerner2018.stored import write_records
from optigram.papers.poerner2018.train import train
from optigram.papers.poerner2018.trainer import Training
from optigram.report import figures
from optigram.report.comparisons import plan_grid
from optigram.runs.corpus import corpus_for
from optigram.runs.records import Record
from optigram.study.cells import StudyContext
from optigram.study.estimate import estimate
from optigram.study.runner import CELLS, Show, run_study

CAPTIONS = "captions.txt"


@dataclass(frozen=True)
class Reproduction:
    """Settings of a reproduction. `data`: a folder with the paper's data, on which a model of the paper's size is trained first.

    `engine` None means `workers` processes. `captions` are those over whose nested parts corpus search is repeated at other scales than
    the small one; None: the corpus of the study.
    """

    scale: str
    model: str = BUNDLED
    corpus: str | None = None
    data: Path | None = None
    seed: int = 0
    device: str = "cpu"
    workers: int = 1
    engine: Engine | None = None
    captions: str | None = None

    def run(self, out: Path, tell: Callable[[str], None], show: Show, plan_only: bool = False) -> list[Record]:
        """Do what is not done yet in the folder `out`; returns the records of the study, none if `plan_only`."""
        figures.require_matplotlib()
        if self.scale not in RECIPES:
            raise InputError(f"expected --scale {' or '.join(RECIPES)}, got {self.scale!r}")
        model, corpus = _trained(self, out, tell, show) if self.data is not None else (self.model, self.corpus)
        if self.scale == "paper" and model == BUNDLED:
            raise InputError(
                "expected a model of the paper's size for --scale paper, got the bundled one; "
                "give --data FOLDER to train one (see optigram data coco), or --model"
            )
        network = load(model, device=self.device)
        if not isinstance(network, Imaginet):
            raise InputError(
                f"expected an Imaginet, which the paper studies, got {network.name}; give --model a folder that `optigram train` wrote"
            )
        ngrams = StudyContext(study(self.scale, network, corpus, self.seed), self.device).ngrams
        recipe = study(self.scale, network, corpus, self.seed, ngrams)
        context = StudyContext(recipe, self.device)
        tell(f"corpus: {context.corpus.name}: {len(context.ngrams):,} different 5-grams")
        tell(f"one gumbel step per neuron with 64 samples: {_gumbel_operations(network) / 1e9:.2g} GFLOP")
        todo = context.missing(out / CELLS)
        if todo:
            tell(plan_grid(estimate(context, todo), self.workers).plain())
        if plan_only:
            return []
        records = run_study(recipe, context, out, self.workers, show, self.engine)
        tell("figures, tables and claims")
        if self.scale != "small":
            _grow(context, self.captions, out / show_pages.GROWTH)
        write_records(records, out / show_pages.RECORDS)
        _measured(context, records, model).write(out / show_pages.MEASURES)
        show_pages.write(*show_pages.read(out), out)  # from what is stored, so that anybody can make them again
        return records


def _grow(context: StudyContext, captions: str | None, path: Path) -> None:
    """Write the growth of corpus search over the captions, or over the study's corpus, unless the folder holds it already."""
    if not path.exists():
        corpus = context.corpus if captions is None else corpus_for(context.model, captions)
        Growth.measure(context.model, context.study.arms[0].targets, list(corpus.texts()), corpus.name).write(path)


def _measured(context: StudyContext, records: Sequence[Record], model: str) -> Measures:
    assert isinstance(context.model, Imaginet)
    omissions = OmissionTable.of(context.model, list(context.corpus.texts()))
    config = read_config(bundled() if model == BUNDLED else Path(model))
    figures_of = {name: config[name] for name in ("captions", "validation", "test") if name in config}
    return Measures.of(context, records, omissions, figures_of)


def _trained(asked: Reproduction, out: Path, tell: Callable[[str], None], show: Show) -> tuple[str, str]:
    """Train a model of the paper's size in `out`/model on `asked.data`, or resume; returns it and the file of its captions."""
    assert asked.data is not None
    if asked.model != BUNDLED or asked.corpus is not None:
        raise InputError("expected --data alone, got --model or --corpus with it; leave them out, the data brings its own")
    data = read_folder(asked.data)
    folder = out / "model"
    for metrics in train(data, folder, Training(), asked.device, watch=show, tell=tell):
        tell(str(metrics))
    if not (folder / CONFIG).exists():
        raise InputError(f"expected training to write a model to {folder}, got none: no epoch had a finite loss; check the data")
    captions = out / CAPTIONS
    if not captions.exists():  # authors' code: 5-grams of train, test and validation captions
        _write(captions, "".join(" ".join(words) + "\n" for part in data.parts.values() for words in part.words))
    return str(folder), str(captions)


def _write(path: Path, text: str) -> None:
    with written_whole(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _gumbel_operations(model: Imaginet, samples: int = 64, length: int = 5) -> float:
    """Floating-point operations of one gumbel step per neuron: the mixtures of all words and their gradient, and one GRU's."""
    sizes = model.sizes
    mixture = 2 * len(model.vocabulary) * sizes.embedding  # one product forward, one backward: the embedding has no gradient
    cell = 2 * 3 * sizes.hidden * (sizes.embedding + sizes.hidden)
    return 2 * samples * length * (mixture + cell)
