"""Shapes are checked while the tests run; no test asks the network; small models are faster on one thread than on two."""

import atexit
import os
import shutil
import tempfile

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["OPTIGRAM_CACHE"] = tempfile.mkdtemp(prefix="optigram-tests-")
atexit.register(shutil.rmtree, os.environ["OPTIGRAM_CACHE"], ignore_errors=True)

from jaxtyping import install_import_hook

from shape_checks import sampled

if "OPTIGRAM_UNCHECKED" not in os.environ:  # a second run of the same tests, with other libraries, need not check the shapes again
    install_import_hook("optigram", "shape_checks.check")

import itertools
import sys

import numpy as np
import pytest
import torch

from optigram.apps import cli
from optigram.models.imaginet import Imaginet, Sizes
from optigram.objective.objective import Objective
from optigram.targets.target import resolve

torch.set_num_threads(1)

WORDS = tuple("abcdefg")
LENGTH = 3


@pytest.fixture(scope="module", autouse=True)
def default_judge():
    """The default judge is the one that needs no package, whatever is installed; tests of models with real weights replace this."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("optigram.explaining.judges.ENCODER", "no_such_package")
        yield


@pytest.fixture(autouse=True)
def first_calls_checked():
    """The first calls of each test are checked, whatever ran before."""
    sampled.restart()


@pytest.fixture(scope="session")
def tiny() -> Imaginet:
    """An Imaginet of 7 words, with weights that make its 343 texts of length 3 differ.

    Its widths are multiples of 8: products of other widths may round differently with a row's place in a batch.
    """
    torch.manual_seed(1)
    model = Imaginet(WORDS, ("cat", "dog", "traffic light"), Sizes(8, 8, 3), name="tiny")
    for weight in model.parameters():
        torch.nn.init.normal_(weight, std=0.4)
    model.first_words[3:] = 1
    return model.eval().requires_grad_(False)


@pytest.fixture(scope="session")
def every_text() -> np.ndarray:
    """All 343 texts [343 3] of the tiny model's own words."""
    return np.array(list(itertools.product(range(3, 3 + len(WORDS)), repeat=LENGTH)))


@pytest.fixture
def objective(tiny) -> Objective:
    """Targets of every kind: both paths, projections and hidden states, all pools, both signs."""
    addresses = ["language:a", "visual:dog", "-visual:cat@mean", "language:*@max", "visual.hidden:0-2@1", "-language.hidden:3@max"]
    return Objective(tiny, resolve(addresses, tiny), LENGTH)


@pytest.fixture
def run(monkeypatch, capsys):
    """Run a command in this process: (exit code, standard output, standard error)."""

    def call(*words):
        monkeypatch.setattr(sys, "argv", ["optigram", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return ended.value.code, *capsys.readouterr()

    return call
