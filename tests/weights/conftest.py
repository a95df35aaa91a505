"""The models stand beside these tests; products of this size want both cores."""

import sys
from pathlib import Path

import pytest
import torch

HERE = Path(__file__).parent
sys.path[:0] = map(str, (HERE, HERE.parent / "explaining", HERE.parents[1]))
torch.set_num_threads(2)


@pytest.fixture(scope="module", autouse=True)
def default_judge():
    """The one of the installed packages."""
