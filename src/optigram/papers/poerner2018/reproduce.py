"""Reproduce the paper: train a model if asked, study it, write its figures, tables and claims."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from optigram.engine.job import Engine
from optigram.errors import InputError
from optigram.files import written_whole
from optigram.models.imaginet import Imaginet
from optigram.models.loading import BUNDLED, CONFIG, load
from optigram.papers.poerner2018 import omission, syntax
from optigram.papers.poerner2018.claims import page
from optigram.papers.poerner2018.layouts import read_folder
from optigram.papers.poerner2018.recipe import FAIR, FAITHFUL, MODERN, RECIPES, study
from optigram.papers.poerner2018.train import train
from optigram.papers.poerner2018.trainer import Training
from optigram.report import figures
from optigram.report.comparisons import plan_grid
from optigram.report.formats import FORMATS, Grid
from optigram.runs.records import Record
from optigram.study.cells import StudyContext
from optigram.study.estimate import estimate
from optigram.study.runner import CELLS, Show, run_study
from optigram.study.statistics import BASELINE, activations, site_of

TITLES = {"language": "language path", "visual": "visual path"}
LABELS = ("crp", "emb", "logit", "smx", "gbl")
CAPTIONS = "captions.txt"
_SHOWN = {"visual": 2, "language": 3}
_BEST = "gbl"
_RULE = (
    "Neurons of each path at equally spaced quantiles of the ratio of gbl to crp: two visual and three language neurons. "
    "Activations are in the model's own units; compare them within a pair of rows only."
)


@dataclass(frozen=True)
class Reproduction:
    """Settings of a reproduction. `data`: a folder with the paper's data, on which a model of the paper's size is trained first.

    `engine` None means `workers` processes.
    """

    scale: str
    model: str = BUNDLED
    corpus: str | None = None
    data: Path | None = None
    seed: int = 0
    device: str = "cpu"
    workers: int = 1
    engine: Engine | None = None

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
        _draw(records, out)
        _write_tables(records, context, out)
        return records


def _draw(records: Sequence[Record], out: Path) -> None:
    """Figure 1 as in the paper and normalised, for modern, faithful and fair settings; and the curves over the budget."""
    arms = {arm: [record for record in records if record.arm == arm] for arm in (MODERN, FAITHFUL, FAIR)}
    for arm, name in ((MODERN, "figure1"), (FAITHFUL, "figure1-faithful"), (FAIR, "figure1-fair")):
        methods = list(dict.fromkeys(record.method for record in arms[arm]))
        figures.save(figures.by_method(arms[arm], methods, TITLES), out / name)
        figures.save(figures.by_method(arms[arm], methods, TITLES, normalised=True), out / f"{name}-normalised")
    figures.save(figures.curves(arms[MODERN], LABELS[1:], TITLES), out / "budget")


def _write_tables(records: Sequence[Record], context: StudyContext, out: Path) -> None:
    """`table1` in every format, and `claims.md`."""
    grid = _table1(records, MODERN)
    for suffix, render in FORMATS.items():
        _write(out / f"table1.{suffix}", render(grid))
    _write(out / "claims.md", _claims_page(records, context))


def _claims_page(records: Sequence[Record], context: StudyContext) -> str:
    """All claims of the paper beside what these records show, as Markdown."""
    about = f"Model: {context.model.name}. Corpus: {context.corpus.name}, {len(context.ngrams):,} different 5-grams."
    return "\n".join([*page(records, about), *_syntax_sections(records, context)])


def _syntax_sections(records: Sequence[Record], context: StudyContext) -> tuple[str, str]:
    """The syntax finding in the optimal 5-grams of the modern arm, and in omission scores of corpus sentences, as Markdown."""
    model, sentences = context.model, list(context.corpus.texts())
    assert isinstance(model, Imaginet)
    found = syntax.Syntax.of([record for record in records if record.arm == MODERN], sentences, context.ngrams, model.vocabulary.tokens)
    return found.section(), omission.section(model, sentences, found.contrasts)


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


def _table1(records: Sequence[Record], arm: str) -> Grid:
    """Rows of crp and gbl for the neurons that the rule selects."""
    chosen = [record for record in records if record.arm == arm and record.rank == 1 and record.method in (BASELINE, _BEST)]
    rows, groups = [], set()
    for site, count in _SHOWN.items():
        here = [record for record in chosen if site_of(record.target) == site]
        for target in _quantiles(here, count):
            groups.add(len(rows))
            pair = {record.method: record for record in here if record.target == target}
            rows += [[method, _text(pair[method], site), target, f"{pair[method].activation:.2f}"] for method in (BASELINE, _BEST)]
    return Grid(("method", "optimal 5-gram", "neuron", "activation"), rows, frozenset({3}), frozenset(groups), _RULE)


def _quantiles(records: Sequence[Record], count: int) -> list[str]:
    """The `count` targets at equally spaced quantiles of the ratio; ties are sorted by name."""
    found, base = activations(records, _BEST), activations(records, BASELINE)
    ratios = sorted((found[target] / base[target], target) for target in found if base.get(target, 0) > 0)
    return [ratios[len(ratios) * (i + 1) // (count + 1)][1] for i in range(count)] if ratios else []


def _text(record: Record, site: str) -> str:
    """The 5-gram, followed for a language neuron by the word it predicts in brackets, as in the paper."""
    return f"{record.text} [{record.target.split(':', 1)[1]}]" if site == "language" else record.text
