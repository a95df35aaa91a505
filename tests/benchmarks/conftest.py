"""The benchmarks are no part of the package: they stand beside it, in the root of the repository."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))


@pytest.fixture(scope="session")
def open_directory(tmp_path_factory):
    """The open benchmark with networks and lists of few words, hardly trained, and a submission to it."""
    from benchmarks.open.directory import Directory
    from benchmarks.open.making import make
    from benchmarks.open.networks import Sizes
    from benchmarks.open.running import run

    folder = tmp_path_factory.mktemp("open") / "made"
    sizes = Sizes(words=30, width=8, caption_steps=2, trigger_steps=2, phrases=4, listed=4, optimum=2, placebos=2)
    make(folder, {}, sizes)
    directory = Directory.open(folder)
    list(run(directory, directory.of(), "random", 40, 1, folder / "random.jsonl"))
    return directory
