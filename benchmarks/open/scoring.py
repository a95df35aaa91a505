"""The scores of submissions as rows of results: a case of the registry."""

from collections.abc import Sequence
from pathlib import Path

from benchmarks import results
from benchmarks.open import submissions
from benchmarks.open.directory import SETS, Directory
from benchmarks.results import Row
from benchmarks.setup import Result, Settings, Unit

NAME = "open/score"


def rows(directory: Directory, files: Sequence[Path]) -> list[Row]:
    """The scores of submissions as results: a row per set and tool."""
    found = {file.name.partition(".json")[0]: submissions.read(file, directory) for file in files}
    scored = submissions.score(directory, found)
    commit, machine, when = results.commit(), results.machine(), results.today()
    made = [Row(NAME, commit, machine, 0, {"set": of, "tool": tool}, metrics, [], when) for (of, tool), metrics in scored.items()]
    return sorted(made, key=lambda row: SETS.index(row.settings["set"]))


def setup(settings: Settings) -> tuple[Directory, list[Path]]:
    """The directory and the submissions of a case's options."""
    return Directory.open(Path(settings.option("directory", ""))), [Path(file) for file in settings.option("files", "").split(",")]


def scores(context: tuple[Directory, list[Path]], unit: Unit, seed: int) -> list[Result]:
    """The rows as results of a case."""
    return [Result(dict(row.metrics), settings=row.settings) for row in rows(*context)]
