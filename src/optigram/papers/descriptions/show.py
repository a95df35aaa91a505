"""The page of the study of descriptions, from what is stored, without running anything.

python -m optigram.papers.descriptions.show RECORDS_FOLDER [OUT]
"""

import json
import lzma
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from optigram.errors import InputError
from optigram.files import writable_folder, written_whole
from optigram.papers.descriptions.recipe import CLASSES, CORPUS, SOURCES
from optigram.report.formats import FORMATS, Grid
from optigram.study.statistics import ALPHA, Comparison, Interval

RECORDS, FACTS, PAGE = "descriptions.jsonl.xz", "facts.json", "descriptions.md"
SHOWN = 3  # units of a class whose descriptions are shown
Rows = Sequence[Mapping[str, Any]]


def read(folder: Path) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The units of a study and the facts about it. Raises InputError for another folder."""
    if not (folder / RECORDS).is_file() or not (folder / FACTS).is_file():
        raise InputError(f"expected {RECORDS} and {FACTS} in {folder}; give a folder of `optigram study descriptions`")
    lines = lzma.decompress((folder / RECORDS).read_bytes()).decode().splitlines()
    return list(map(json.loads, lines)), json.loads((folder / FACTS).read_text(encoding="utf-8"))


def write(folder: Path, out: Path) -> None:
    """Write the page, and its table in every format."""
    units, facts = read(folder)
    writable_folder(out)
    table = _grid(units)
    for suffix, render in FORMATS.items():
        _write(out / f"table.{suffix}", render(table))
    _write(out / PAGE, _page(units, facts, table))


def _page(units: Rows, facts: Mapping[str, Any], table: Grid) -> str:
    """The page as Markdown."""
    kinds = [kind for kind in CLASSES if any(unit["kind"] == kind for unit in units)]
    counts = ", ".join(f"{sum(unit['kind'] == kind for unit in units)} {CLASSES[kind]}" for kind in kinds)
    parts = [INTRODUCTION.format(units=len(units), counts=counts), table.markdown(), _verdict(units), "## What it cost\n"]
    parts += [_costs(units, facts).markdown(), "## What was read\n", _texts(facts), "## Descriptions\n", _examples(units, kinds).markdown()]
    return "\n".join(parts)


def _grid(units: Rows) -> Grid:
    """A row per class, judge and source: detection, its difference to descriptions from the corpus alone, and the placebos."""
    groups = [(kind, judge) for kind in CLASSES for judge in _judges(units, kind)]
    pairs = [(kind, judge, source) for kind, judge in groups for source in SOURCES]
    compared = [key for key in pairs if key[2] != CORPUS]
    ps = dict(zip(compared, Comparison.adjusted([_differences(units, *key) for key in compared]), strict=True)) if compared else {}
    rows, begins = [], set[int]()
    for kind, judge, source in pairs:
        found = _column(units, kind, judge, source, "auc")
        difference = Interval.mean(_differences(units, kind, judge, source)) if source != CORPUS else None
        if source == CORPUS:
            begins.add(len(rows))
        rows.append(
            [
                CLASSES[kind] if source == CORPUS else "",
                judge if source == CORPUS else "",
                source,
                str(len(found)),
                Interval.mean(list(found.values())).show(),
                "" if difference is None else _signed(difference),
                "" if difference is None else f"{ps[kind, judge, source][1]:.2g}",
                *(_mean(_column(units, kind, judge, source, name)) for name in ("shuffled", "directions", "examples")),
            ]
        )
    header = (
        "units",
        "judge",
        "made from",
        "n",
        "AUC",
        "above corpus alone",
        "p (Holm)",
        "shuffled",
        "random directions",
        "corpus examples",
    )
    return Grid(header, rows, frozenset(range(3, len(header))), frozenset(begins))


def _column(units: Rows, kind: str, judge: str, source: str, name: str) -> dict[str, float]:
    """A figure of every unit of a class that has it."""
    return {
        unit["target"]: test[name]
        for unit in units
        for test in unit["tests"]
        if unit["kind"] == kind and test["source"] == source and test["judge"] == judge and test[name] is not None
    }


def _differences(units: Rows, kind: str, judge: str, source: str) -> np.ndarray:
    own, base = _column(units, kind, judge, source, "auc"), _column(units, kind, judge, CORPUS, "auc")
    return np.array([own[target] - base[target] for target in base if target in own])


def _judges(units: Rows, kind: str) -> list[str]:
    return list(dict.fromkeys(test["judge"] for unit in units if unit["kind"] == kind for test in unit["tests"]))


def _verdict(units: Rows) -> str:
    """Sentences on whether optimized texts help, by class and judge."""
    keys = [(kind, judge, source) for kind in CLASSES for judge in _judges(units, kind) for source in SOURCES[1:]]
    told = []
    for (kind, judge, source), (_, holm) in zip(keys, Comparison.adjusted([_differences(units, *key) for key in keys]), strict=True):
        found = Interval.mean(_differences(units, kind, judge, source))
        side = found.side() if holm < ALPHA else "undecided"
        told.append(f"- {CLASSES[kind]}, {source}, by {judge}: {_signed(found)}, {side}.")
    return "\n".join(["Against descriptions from the corpus alone (by the interval and the corrected p together):\n", *told, ""])


def _costs(units: Rows, facts: Mapping[str, Any]) -> Grid:
    rows = []
    for kind in dict.fromkeys(unit["kind"] for unit in units):
        own = [unit for unit in units if unit["kind"] == kind]
        by_source = [_mean({str(i): one for i, one in enumerate(_seconds(own, source))}, 1) for source in SOURCES]
        testing = float(np.mean([unit["testing"] for unit in own]))
        shared = facts["classes"][kind]["seconds"]
        total = sum(sum(_seconds(own, source)) for source in SOURCES) + testing * len(own) + shared
        rows.append([CLASSES[kind], str(len(own)), f"{shared:.0f}", *by_source, f"{testing:.1f}", f"{total:.0f}"])
    header = ("units", "n", "pass over the texts, s", *(f"{source}, s a unit" for source in SOURCES), "tests, s a unit", "in all, s")
    caption = "Core-seconds on one thread. The three descriptions of a unit share the scores of texts, so the later ones are cheaper."
    return Grid(header, rows, frozenset(range(1, len(header))), caption=caption)


def _seconds(units: Rows, source: str) -> list[float]:
    return [unit["sources"][source]["seconds"] for unit in units]


def _texts(facts: Mapping[str, Any]) -> str:
    lines = [
        f"- {CLASSES[kind]}: {one['corpus']}; {one['texts'][0]:,} texts to describe from ({one['ngrams']:,} n-grams of them scored), "
        f"{one['texts'][1]:,} others to test on ({one['windows']:,} windows)."
        for kind, one in facts["classes"].items()
    ]
    trained = facts.get("autoencoder")
    if trained is not None:
        lines.append(
            f"- The autoencoder leaves {trained['unexplained']:.0%} of the variance of its training states unexplained; units are "
            f"drawn from its {trained['usable']} latents that are on at 0.05% to 20% of the positions."
        )
    return "\n".join([*lines, ""])


def _examples(units: Rows, kinds: Sequence[str]) -> Grid:
    return Grid(("unit", *SOURCES), list(_shown(units, kinds)))


def _shown(units: Rows, kinds: Sequence[str]) -> Iterator[list[str]]:
    for kind in kinds:
        for unit in [unit for unit in units if unit["kind"] == kind][:SHOWN]:
            told = [unit["sources"][source] for source in SOURCES]
            yield [unit["target"], *(one.get("text") or one["problem"] for one in told)]


def _mean(found: Mapping[str, float], places: int = 2) -> str:
    return f"{np.mean(list(found.values())):.{places}f}" if found else "-"


def _signed(found: Interval) -> str:
    return "-" if np.isnan(found.value) else f"{found.value:+.3f} [{found.low:+.3f}, {found.high:+.3f}]"


def _write(path: Path, text: str) -> None:
    with written_whole(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


INTRODUCTION = """# Do optimized texts help to describe a neuron?

{units} units ({counts}) are described three times, without a language model: from the highest texts of a corpus alone, from optimized
texts alone, and from both. A judge that reads the description, and sees no activation, says how well held-out texts fit it. The AUC is the
share of pairs of a text that fires and one that is silent which the judge puts in the right order. No held-out text is in the half of the
corpus that descriptions are made from.

Placebos: *shuffled* are descriptions of other units of the class, made from the same source; *random directions*: the unit's
description on the texts of random directions of the same site. *Corpus examples*: five held-out texts in place of a description. Means over
units with 95% BCa intervals; differences are paired by unit (Wilcoxon, corrected after Holm over the table). For units of the encoder, the
judge that compares the encoder's own sentence embeddings reads the model that is explained; the other judge knows only which words occur
together in the corpus.
"""

if __name__ == "__main__":
    write(Path(sys.argv[1]), Path(sys.argv[-1]))
