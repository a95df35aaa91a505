"""From a scan to the texts that a search begins from: the words that end at the best places of each target."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from optigram.errors import InputError
from optigram.objective.objective import Objective
from optigram.scanning.results import ScanResults
from optigram.shapes import Int
from optigram.targets.target import Target

MOST = 8  # texts of a target


def starts_from_scan(folder: str, objective: Objective) -> Int[Tensor, "k n t"]:
    """The best windows of a scan for every target of an objective, best first, -1 after the last.

    Raises InputError for a scan of other weights or targets.
    """
    found = ScanResults.load(Path(folder))
    if found.about["scan"]["mark"] != objective.model.fingerprint:
        raise InputError(f"the scan in {folder} is of other weights than {objective.model.name}; scan this model")
    texts = torch.full((len(objective.targets), MOST, objective.length), -1)
    for row, target in zip(texts, objective.targets, strict=True):
        windows = list(dict.fromkeys(_windows(found, target, objective.length)))[:MOST]
        if not windows:
            raise InputError(f"no place that the scan in {folder} found for {target} has {objective.length} words; give a smaller --length")
        row[: len(windows)] = torch.tensor(windows)
    return texts


def _windows(found: ScanResults, target: Target, length: int) -> Iterator[tuple[int, ...]]:
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
