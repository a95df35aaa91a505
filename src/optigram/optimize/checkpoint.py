"""Checkpoints: what a search has found and spent, and where its method is, in a file, so that a killed search goes on from there."""

import hashlib
import pickle
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from optigram.files import written_whole
from optigram.objective.objective import Objective
from optigram.optimize.method import Method
from optigram.optimize.result import TargetResult

FORMAT = 1
EVERY = 60.0  # seconds between two checkpoints
SEARCH = "search-{}.checkpoint"  # the file of each search of a run


@dataclass(frozen=True)
class Progress:
    """Where a search is: results of the targets that are `done`, the state of the batch that runs, and that of its method.

    States are dicts of tensors and of what JSON has.
    """

    done: list[TargetResult] = field(default_factory=list)
    batch: Mapping[str, Any] | None = None
    method: Mapping[str, Any] | None = None
    work: str = ""  # which search it is (`work_of`)


class Checkpoint:
    """The file of one search at `path`, written every `seconds` while it runs. Another search does not read it, and begins anew.

    Only a method whose proposals have a `state` is resumed (`optimize.method.Resumable`); the batches of other methods begin anew.
    """

    path: Path
    seconds: float

    def __init__(self, path: Path, seconds: float = EVERY) -> None:
        self.path, self.seconds = path, seconds
        self._written = time.monotonic()

    @property
    def due(self) -> bool:
        """Whether the last checkpoint is `seconds` old."""
        return time.monotonic() - self._written >= self.seconds

    def read(self) -> Progress:
        """What the file says; no progress if there is none, or none that can be read."""
        try:
            found = torch.load(self.path, map_location="cpu", weights_only=True)
            if found["format"] != FORMAT:
                return Progress()
            return Progress([TargetResult(**one) for one in found["done"]], found["batch"], found["method"], found["work"])
        except (OSError, RuntimeError, EOFError, pickle.UnpicklingError, LookupError, TypeError):  # the last two: of other content
            return Progress()

    def write(self, progress: Progress) -> None:
        """Put the progress in place of what the file says."""
        with written_whole(self.path) as temporary:
            torch.save({"format": FORMAT, **vars(progress), "done": [vars(one) for one in progress.done]}, temporary)
        self._written = time.monotonic()

    def remove(self) -> None:
        """Remove the file, if there is one: the search has ended, and its results are kept."""
        self.path.unlink(missing_ok=True)


class Checkpoints:
    """The checkpoints of a run, one per search, in its `folder`; a run without a folder has none."""

    def __init__(self, folder: Path | None) -> None:
        self._folder, self._given = folder, list[Checkpoint]()

    @property
    def left(self) -> bool:
        """Whether a run that was killed has left some."""
        return self._folder is not None and any(self._folder.glob(SEARCH.format("*")))

    def next(self) -> Checkpoint | None:
        """That of the next search. A run that is started again has the same searches in the same order."""
        if self._folder is None:
            return None
        self._given.append(Checkpoint(self._folder / SEARCH.format(len(self._given))))
        return self._given[-1]

    def remove(self) -> None:
        """Remove their files: the results of the run are kept."""
        for checkpoint in self._given:
            checkpoint.remove()


def work_of(objective: Objective, method: Method, *settings: object) -> str:
    """A hash of all that a search depends on, by which a checkpoint tells it from others."""
    given = [part.tolist() if isinstance(part, Tensor) else part for part in settings]
    return hashlib.sha256(repr((objective.key, method, method.batch, given)).encode()).hexdigest()
