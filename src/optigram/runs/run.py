"""One run of `find`: options become an objective, a corpus and start texts, and each method's records come back."""

import dataclasses
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from optigram.errors import InputError
from optigram.methods import chains
from optigram.models.base import Model
from optigram.objective.objective import Objective
from optigram.optimize.checkpoint import Checkpoints
from optigram.runs.cache import Cache
from optigram.runs.corpus import corpus_for
from optigram.runs.find import MethodResult, Watch, run_methods
from optigram.runs.lengths import run_lengths
from optigram.runs.objective import make_objective, remarks
from optigram.runs.options import FindOptions
from optigram.runs.plan import DENSE, LARGE, SPARSE, Plan, reads_corpus
from optigram.scanning.results import ScanTables
from optigram.shapes import Int
from optigram.targets.target import Target
from optigram.text.sources import Corpus, open_corpus

READ = 200  # texts of a default corpus that are tried on the model's vocabulary

Remark = Callable[[str], None]
_MOST = 8  # texts of a target


@dataclass(frozen=True)
class Prepared:
    """A run before its search: everything that could be wrong with it has been checked.

    Where lengths are a range, `objective` is that of the shortest texts, and `longer` are those of the others.
    """

    objective: Objective
    options: FindOptions
    corpus: Corpus | None
    start: Any
    longer: tuple[Objective, ...] = ()

    @property
    def settings(self) -> dict[str, Any]:
        """Model, targets and options, as the manifest of the run keeps them."""
        return {"model": self.objective.model.name, "targets": list(map(str, self.objective.targets)), **self.options.recorded()}

    @property
    def about(self) -> dict[str, Any]:
        """What else the manifest says: the corpus, and the fingerprints of model and corpus."""
        model, corpus = self.objective.model, self.corpus
        prints = {"model": model.fingerprint, "corpus": corpus and corpus.fingerprint}
        return {"corpus": corpus and corpus.name, "fingerprints": prints}

    @classmethod
    def of(
        cls, model: Model, targets: Any, options: FindOptions, exact: Callable[[], Model] | None = None, remark: Remark = lambda text: None
    ) -> "Prepared":
        """Check all options and read the corpus. `exact` loads the model in float32; `remark` is told what a user should know.

        Raises InputError.
        """
        if options.front and options.n > 1:
            raise InputError(f"expected front or n, got front with n={options.n}; the Pareto front has as many texts as it has")
        for by in options.by:
            chains.Chain.parse(by)
        objective, *longer = _objectives(model, targets, options, exact)
        cache = None if options.no_cache else Cache.usual()
        for told in open_corpus(options.seen_in).remarks if isinstance(options.seen_in, str | Path) else ():
            remark(told)
        corpus = corpus_for(model, options.corpus, options.seed, remark, cache) if reads_corpus(options.by) else None
        if corpus is not None and options.corpus is None and not _readable(corpus, model):
            remark("no corpus: the model does not know the words of the bundled captions; give corpus= one of its own")
            corpus = None
        if corpus is not None:
            remark(f"corpus: {corpus.name}")
        for told in remarks(objective, () if corpus is None else list(corpus.texts())):
            remark(told)
        if chains.AUTO in options.by:
            remark(f"{chains.AUTO} runs {chains.Chain.parse(chains.AUTO, corpus is not None).expanded}")
        if any(Plan.shortens(chains.Chain.parse(by, corpus is not None), objective) for by in options.by):
            words = len(objective.lexicon)
            remark(f"{DENSE} runs as {SPARSE}, over a shortlist of words at each position, for there are over {LARGE:,} words ({words:,})")
        start = None if options.start is None else _starts_from_scan(options.start, objective)
        return cls(objective, options, corpus, start, tuple(longer))

    def run(
        self,
        watch: Watch = lambda method, done, best: None,
        remark: Remark = lambda text: None,
        checkpoints: Checkpoints | None = None,
    ) -> list[MethodResult]:
        """Run all methods. After a Ctrl-C the last result is marked `interrupted` and holds what was found until then.

        A run that was killed goes on from its `checkpoints`.
        """
        objective, options = self.objective, self.options
        if self.longer:
            results = list(run_lengths([objective, *self.longer], options, self.corpus, self.start, watch, checkpoints))
        else:
            results = list(run_methods(objective, options, self.corpus, self.start, watch, checkpoints))
        for one in results:
            if one.broken:
                what = "check the model's weights and dtype, and the weights of the target"
                remark(f"{one.method}: {one.broken} scores were NaN or infinite and were left out; {what}")
            if one.interrupted:
                asked = len(objective.targets) * options.n * (1 + len(self.longer))
                remark(f"{one.method}: interrupted; kept {len(one.records)} of {asked} texts")
        return results


def _objectives(model: Model, targets: Any, options: FindOptions, exact: Callable[[], Model] | None) -> list[Objective]:
    """The objective of each length that is asked for, short to long."""
    if options.lengths is None:
        return [make_objective(model, targets, options, exact=exact)]
    if options.front:
        raise InputError(f"expected front or a range of lengths, got front with length={options.length}; give one length")
    one = options.model_copy(update={"length": None})
    if (fixed := make_objective(model, targets, one).template.length) is not None:
        raise InputError(f"expected a template of one slot {{}} for lengths {options.length}, got one of {fixed} words; leave --length out")
    return [make_objective(model, targets, one, length, exact) for length in options.lengths]


def _readable(corpus: Corpus, model: Model) -> bool:
    """Whether the model knows all words of some of the first texts."""
    texts = itertools.islice(corpus.texts(), READ)
    return any(not model.vocabulary.special.intersection(model.vocabulary.encode(text)) for text in texts)


def _starts_from_scan(folder: str, objective: Objective) -> Int[Tensor, "k n t"]:
    """The best windows of a scan for every target of an objective, best first, -1 after the last.

    Raises InputError for a scan of other weights or targets.
    """
    found = ScanTables.load(Path(folder))
    if found.about["scan"]["mark"] != objective.model.fingerprint:
        raise InputError(f"the scan in {folder} is of other weights than {objective.model.name}; scan this model")
    texts = torch.full((len(objective.targets), _MOST, objective.length), -1)
    for row, target in zip(texts, objective.targets, strict=True):
        windows = list(dict.fromkeys(_windows(found, target, objective.length)))[:_MOST]
        if not windows:
            raise InputError(f"no place that the scan in {folder} found for {target} has {objective.length} words; give a smaller --length")
        row[: len(windows)] = torch.tensor(windows)
    return texts


def _windows(found: ScanTables, target: Target, length: int) -> Iterator[tuple[int, ...]]:
    """The `length` ids that end at each place, or at the first later one where there are so many, best first.

    For a negative target that was not scanned they are those of the lowest places of what it is the negative of.
    """
    name = str(target) if str(target) in set(found) else str(dataclasses.replace(target, pool="last"))
    split = "top"
    if name not in set(found) and name.startswith("-"):
        name, split = name[1:], "bottom"
    for row in found.of(name, split):
        end = max(row["position"] - row["begin"] + 1, length)
        if end <= len(row["ids"]):
            yield tuple(row["ids"][end - length : end])
