"""The models stand beside these tests; products of this size want both cores."""

import sys
from pathlib import Path

import pytest
import torch

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "explaining")]
torch.set_num_threads(2)


@pytest.fixture(scope="module", autouse=True)
def default_judge():
    """The one of the installed packages."""
