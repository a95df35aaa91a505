"""The cells of a study: each one method on a group of targets with one seed, run by itself and kept in its own file."""

import functools
import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from optigram.methods import Corpus, chains
from optigram.models.base import Model
from optigram.models.imaginet import Imaginet
from optigram.models.loading import load
from optigram.objective.objective import Objective
from optigram.optimize.checkpoint import Checkpoint
from optigram.optimize.search import Budget
from optigram.runs.corpus import corpus_for
from optigram.runs.find import run_plan
from optigram.runs.folder import STUDY_FORMAT
from optigram.runs.objective import make_objective
from optigram.runs.options import ObjectiveOptions
from optigram.runs.plan import Plan
from optigram.runs.records import Record
from optigram.study.spec import Arm, Study
from optigram.text.ngrams import NGrams
from optigram.text.sources import Corpus as Texts

SMALLEST = 8  # targets of a cell, where the method's own batch is smaller
LONGEST = 1e6  # forward-equivalents per target: on a processor a cell of more has one target, so that all processes have work


@dataclass(frozen=True)
class Cell:
    """A method of an arm on `targets` (addresses) with a seed. `key` names its file; equal work has equal keys."""

    arm: str
    method: str
    seed: int
    targets: tuple[str, ...]
    key: str

    @property
    def file(self) -> str:
        """The name of the file of the cell's records."""
        return f"{self.key}.parquet"

    @property
    def checkpoint(self) -> str:
        """The name of the file from which the cell goes on, until it has records."""
        return f"{self.key}.checkpoint"


class StudyContext:
    """What the cells of a study share in one process: models, corpus and methods, each made when it is first needed."""

    study: Study
    device: str
    arms: dict[str, Arm]

    def __init__(self, study: Study, device: str = "cpu") -> None:
        self.study, self.device = study, device
        self.arms = {arm.name: arm for arm in study.arms}

    @functools.cached_property
    def model(self) -> Model:
        """The study's own model."""
        return load(self.study.model, device=self.device, dtype=None if self.study.dtype == "float32" else self.study.dtype)

    @functools.cached_property
    def corpus(self) -> Texts:
        """The texts of corpus search. Sampled texts come from the study's own model, also for a placebo."""
        return corpus_for(self.model, self.study.corpus)

    @functools.cached_property
    def ngrams(self) -> np.ndarray:
        """The corpus's unique n-grams [c t] of allowed words."""
        first = self.study.arms[0]
        objective = self.objective(first.name, first.targets[:1])
        return NGrams.read(self.corpus.texts(), self.model.vocabulary, objective.length, objective.lexicon.cpu().numpy()).ids

    def model_of(self, arm: str) -> Model:
        """The model of an arm: the study's, or a placebo of it."""
        kind = self.arms[arm].placebo
        return self.model if kind is None else self._placebo(kind)

    def objective(self, arm: str, targets: Sequence[str]) -> Objective:
        """The objective of some targets of an arm."""
        return make_objective(self.model_of(arm), targets, self.study)

    def plan(self, arm: str, name: str) -> Plan:
        """The plan of a method's name at the arm's budget."""
        reads = Corpus(self.corpus.name, self.ngrams) if chains.Chain.parse(name).corpus else None
        return Plan.of(name, self.objective(arm, self.arms[arm].targets[:1]), reads, self.arms[arm].budget)

    def fingerprints(self) -> dict[str, str | None]:
        """Hashes of model and corpus (None: no method reads one)."""
        wanted = any(chains.Chain.parse(name).corpus for arm in self.study.arms for name in arm.methods)
        return {"model": self.model.fingerprint, "corpus": self.corpus.fingerprint if wanted else None}

    def cells(self) -> list[Cell]:
        """All cells in their order. Raises InputError for targets or methods that the model or the corpus does not allow."""
        prints = self.fingerprints()
        return [cell for arm in self.study.arms for name in arm.methods for cell in self._cells(arm, name, prints)]

    def run(self, cell: Cell, checkpoint: Checkpoint | None = None) -> list[Record]:
        """The records of a cell, from where its checkpoint is. KeyboardInterrupt passes through, so that half a cell is never kept."""
        plan, budget = self.plan(cell.arm, cell.method), Budget(forwards=self.arms[cell.arm].budget)
        found = run_plan(
            self.objective(cell.arm, cell.targets),
            plan,
            budget,
            cell.seed,
            self.study.top,
            arm=cell.arm,
            apart=self.study.apart,
            checkpoint=checkpoint,
        )
        if found.interrupted:
            raise KeyboardInterrupt
        return found.records

    def _cells(self, arm: Arm, name: str, prints: dict[str, str | None]) -> list[Cell]:
        plan, objective = self.plan(arm.name, name), self.objective(arm.name, arm.targets)
        size = self._size(plan, arm.budget) or len(objective.targets)
        made = []
        seeds = arm.seeds or self.study.seeds
        for seed in seeds[:1] if plan.method is None else seeds:  # corpus search is deterministic
            parts = [part[i : i + size] for part in objective.target_groups() for i in range(0, len(part), size)]
            for part in parts:
                targets = tuple(str(objective.targets[i]) for i in part)
                contents = [one.key for i in part if (one := objective.targets[i]).key != str(one)]
                made.append(Cell(arm.name, name, seed, targets, self._key(arm, repr(plan), seed, (*targets, *contents), prints)))
        return made

    def _size(self, plan: Plan, forwards: float | None) -> int | None:
        """Targets of a cell (None: all)."""
        if plan.method is None or plan.batch is None:
            return None
        bounded = plan.bounded(Budget(forwards=forwards)).forwards
        if self.device == "cpu" and plan.method.cost(math.inf if bounded is None else bounded) > LONGEST:
            return 1  # a GPU runs a batch in the time of one
        return plan.batch * -(-SMALLEST // plan.batch)

    def _key(self, arm: Arm, method: str, seed: int, targets: tuple[str, ...], prints: dict[str, str | None]) -> str:
        study = self.study.model_dump(include={*ObjectiveOptions.model_fields, "top", "apart"})
        work = [STUDY_FORMAT, study, arm.name, arm.budget, arm.placebo, method, seed, targets, prints]
        return hashlib.sha256(json.dumps(work).encode()).hexdigest()[:20]

    @functools.cache  # noqa: B019 - a context lives as long as its process
    def _placebo(self, kind: str) -> Model:
        return Imaginet.placebo_of(self.model, kind)

    def missing(self, folder: Path) -> list[Cell]:
        """The cells that have no file in the folder."""
        return [cell for cell in self.cells() if not (folder / cell.file).exists()]
