"""The cost of a training run: operations by arithmetic, time from ten measured steps."""

import itertools
import time
from dataclasses import dataclass

import numpy as np
import torch

from optigram.models.imaginet import Sizes
from optigram.papers.poerner2018.trainer import Trainer

FORWARD_AND_BACKWARD = 3  # each product of the forward pass has two in the backward pass: by its input, by its weight
WARMING, MEASURED = 2, 10  # steps


@dataclass(frozen=True)
class _Cost:
    """Floating-point operations in the matrix products of a mean step, and seconds of a measured step."""

    parameters: int
    operations: float
    seconds: float
    steps: int  # per epoch
    epochs: int  # at most
    patience: int
    device: str

    def __str__(self) -> str:
        return (
            f"{self.parameters:,} parameters; {_amount(self.operations)}FLOP per step, "
            f"{self.steps:,} steps and {_amount(self.operations * self.steps)}FLOP per epoch; "
            f"{self.seconds:.3g} s per step on {self.device} (mean of {MEASURED}): {_duration(self.seconds * self.steps)} per epoch "
            f"without validation; at most {self.epochs:,} epochs, until {self.patience} in a row bring no improvement"
        )


def measure(trainer: Trainer) -> _Cost:
    """The cost of a new or resumed run. Steps are measured on a copy, so the run itself does not change."""
    settings, model = trainer.settings, trainer.model
    parameters = sum(weight.numel() for weight in model.parameters())
    operations = _operations_per_epoch(trainer) / trainer.steps
    device = str(model.embedding.device)
    return _Cost(parameters, operations, _seconds_a_step(trainer), trainer.steps, settings.epochs, settings.patience, device)


def _operations_per_epoch(trainer: Trainer) -> float:
    """Floating-point operations in the matrix products of one pass over the training captions."""
    lengths = np.array([len(text) for text in trainer.texts["train"]])
    order = np.sort(lengths) if trainer.settings.bucketed else np.random.default_rng(0).permutation(lengths)
    size = trainer.settings.batch
    padded = sum(len(order[start : start + size]) * order[start : start + size].max() for start in range(0, len(order), size))
    pictured = 0 if trainer.images is None else int((trainer.rows["train"] >= 0).sum())
    return _operations(trainer.model.sizes, len(trainer.model.vocabulary), int(padded), int(lengths.sum()), pictured)


def _operations(sizes: Sizes, words: int, padded: int, real: int, pictured: int) -> float:
    """Operations of training on `padded` positions, `real` words and `pictured` captions with images; `words` in the vocabulary."""
    cell = 3 * sizes.hidden * (sizes.embedding + sizes.hidden)
    visual = FORWARD_AND_BACKWARD if pictured else 1
    products = (FORWARD_AND_BACKWARD + visual) * cell * padded
    products += FORWARD_AND_BACKWARD * sizes.hidden * (words * real + sizes.features * pictured)
    return 2 * products  # a multiplication and an addition each


def _seconds_a_step(trainer: Trainer) -> float:
    """Mean seconds of ten steps on batches of the next epoch, after two warm-up steps."""
    twin = trainer.twin()
    with torch.random.fork_rng():
        found = itertools.cycle(list(itertools.islice(twin.batches(np.random.default_rng(trainer.settings.seed)), WARMING + MEASURED)))
        for batch in itertools.islice(found, WARMING):
            twin.step(batch)
        begun = _now(twin)
        for batch in itertools.islice(found, MEASURED):
            twin.step(batch)
        return (_now(twin) - begun) / MEASURED


def _now(trainer: Trainer) -> float:
    trainer.model.embedding[0, 0].item()  # wait for a GPU, which works asynchronously
    return time.perf_counter()


def _amount(number: float) -> str:
    """1.46e15 as "1.46 P"."""
    prefixes = ("", "k", "M", "G", "T", "P", "E")
    place = min(int(np.log10(max(number, 1)) // 3), len(prefixes) - 1)
    return f"{number / 1000**place:.3g} {prefixes[place]}"


def _duration(seconds: float) -> str:
    for size, unit in ((86400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} seconds"
