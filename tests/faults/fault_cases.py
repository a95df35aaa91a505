"""What is killed: commands that leave files, each small, with a way to compare what they leave."""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as parquet
import torch

from optigram.models.imaginet import Imaginet, Sizes
from optigram.models.loading import save

STUDY = """
name = "small"
model = "{model}"
corpus = "{corpus}"
length = 3
seeds = [0, 1]

[[arms]]
name = "visual"
targets = ["visual:*", "-visual:dog"]
methods = ["crp", "gbl", "coordinate"]
budget = 80
"""
VOLATILE = ("seconds",)
SCAN = ["scan", "{model}", "language.hidden:*", "visual:*", "--corpus", "{corpus}", "--out", "out", "--shards", "6"]
SCAN += ["--sample", "20", "--device", "cpu", "--quiet"]
TRAIN = "train imaginet --captions {corpus} --out out --embedding 8 --hidden 8 --epochs 3 --batch 8 --device cpu --quiet"


@dataclass(frozen=True)
class Case:
    """`argv` runs in a folder beside `out`; `start` is what lies in `out` before; `weight` is how often it is drawn."""

    name: str
    argv: list[str]
    start: str | None = None
    weight: int = 4
    resumes: bool = True


CASES = [
    Case("scan", SCAN, weight=8),
    Case("scan by processes", [*SCAN, "--engine", "processes", "--workers", "2"], weight=1),
    Case("scan with a tokenizing process", [*SCAN, "--tokenizers", "1"], weight=1),
    Case("study", ["study", "{study}", "--out", "out", "--engine", "local", "--quiet"], weight=8),
    Case("study by processes", ["study", "{study}", "--out", "out", "--workers", "2", "--quiet"], weight=1),
    Case("train", TRAIN.split(), weight=8),
    Case("export as csv", ["export", "{scan}", "--as", "csv", "--out", "out/places.csv"]),
    Case("export as openai", ["export", "{scan}", "--as", "openai", "--out", "out"]),
    Case("evidence", ["evidence", "out", "--device", "cpu", "--quiet"], start="run"),
    Case("report", ["report", "out", "-o", "out/page.html", "--device", "cpu", "--quiet"], start="run"),
    Case(
        "find",
        [
            "find",
            "{model}",
            "visual:dog",
            "visual:cat",
            "--by",
            "gbl,coordinate",
            "--budget",
            "150",
            "--length",
            "3",
            "--out",
            "out",
            "--device",
            "cpu",
            "--quiet",
            "--json",
        ],
        resumes=False,
    ),
]


def make_inputs(folder: Path, run: Callable[[list[str], Path], Any]) -> dict[str, str]:
    """A model, a corpus, a study, a finished scan and a finished run, below `folder`; their paths by name."""
    torch.manual_seed(1)
    save(Imaginet(tuple("abcdefg"), ("cat", "dog"), Sizes(8, 8, 2)), folder / "model", {})
    corpus = folder / "corpus.txt"
    corpus.write_text("".join(f"{'abcdefg'[i % 7]} {'gfedcba'[i % 5]} {'abc'[i % 3]} d {'efg'[i // 7 % 3]} f\n" for i in range(300)))
    known = {"model": str(folder / "model"), "corpus": str(corpus), "study": str(folder / "study.toml")}
    (folder / "study.toml").write_text(STUDY.format(**known))
    for name, case in (("scan", CASES[0]), ("run", CASES[-1])):
        (folder / "made" / name).mkdir(parents=True)
        run(filled(case, known), folder / "made" / name)
        known[name] = str(folder / "made" / name / "out")
    return known


def filled(case: Case, known: dict[str, str]) -> list[str]:
    """The command of a case."""
    return [word.format(**known) for word in case.argv]


def begin(case: Case, known: dict[str, str], folder: Path) -> None:
    """Make the folder that a case runs in."""
    folder.mkdir()
    if case.start is not None:
        shutil.copytree(known[case.start], folder / "out")


def outcome(out: Path) -> dict[str, str | bytes]:
    """All that lies below a folder, by path, without the times that were measured. Tables and JSON are JSON."""
    return {str(path.relative_to(out)): _content(path) for path in sorted(out.rglob("*")) if path.is_file()}


def _content(path: Path) -> str | bytes:
    if path.suffix == ".parquet":
        table = parquet.read_table(path)
        return json.dumps(table.drop_columns([name for name in VOLATILE if name in table.column_names]).to_pylist(), default=str)
    if path.suffix == ".json":
        found = json.loads(path.read_text())
        return json.dumps({name: value for name, value in found.items() if name not in VOLATILE} if isinstance(found, dict) else found)
    return path.read_bytes()
