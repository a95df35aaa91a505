"""Run a study: its cells in worker processes, each cell one file, so that a study that was killed continues where it was.

A study's folder holds `manifest.json` (the study, fingerprints of model and corpus, versions), `cells/` and, once all are
done, `records.parquet`: every record in the order of the study. A cell that takes minutes has a checkpoint in `cells/` until it is done.
"""

import dataclasses
import functools
from collections.abc import Callable
from itertools import zip_longest
from pathlib import Path
from typing import Any

from optigram.engine import processes
from optigram.engine.job import Engine, Job
from optigram.errors import InputError
from optigram.files import versions, writable_folder
from optigram.optimize.checkpoint import Checkpoint
from optigram.runs.folder import CELLS, MANIFEST, RECORDS, STUDY_FORMAT, RunFolder
from optigram.runs.records import Record, RecordFile
from optigram.study.cells import Cell, StudyContext
from optigram.study.spec import Study

PLACES = ("study.corpus: ", "study.model: ")  # settings that say where something is
BRIEF = 60  # characters of a setting in a message
Show = Callable[[int, int, str], None]  # cells done, cells in all, the cell that was done last


def run_study(
    study: Study,
    context: StudyContext,
    folder: Path,
    workers: int,
    show: Show = lambda done, total, what: None,
    engine: Engine | None = None,
) -> list[Record]:
    """The records of a study, made by `workers` processes of one thread each (0: by this process), or by `engine`.

    Cells that `folder` holds already are not run again. Raises InputError if the folder belongs to another study, with the
    differences.
    """
    writable_folder(folder / CELLS)
    _claim(study, context, folder)
    cells = context.cells()
    todo = context.missing(folder / CELLS)
    done = len(cells) - len(todo)
    show(done, len(cells), "")
    job = _job(study, context.device, folder / CELLS)
    if workers == 0:
        job = dataclasses.replace(job, build=lambda: context)  # this process has a context already
    for cell in (engine or functools.partial(processes.run, workers=workers))(job, todo):
        done += 1
        show(done, len(cells), f"{cell.arm} {cell.method}")
    records = [record for cell in cells for record in RecordFile.read(folder / CELLS / cell.file)]
    RecordFile.write(records, folder / RECORDS)
    return records


def _claim(study: Study, context: StudyContext, folder: Path) -> None:
    """Write the manifest, or compare it with the folder's own."""
    about = {"study": study.to_dict(), "fingerprints": context.fingerprints(), "versions": versions(), "device": context.device}
    wanted = {"format": STUDY_FORMAT, **about}
    path = folder / MANIFEST
    if not path.exists():
        RunFolder.write_manifest(folder, wanted)
    elif changed := _differences(old := RunFolder.read_manifest(path), wanted):
        moved = old.get("fingerprints") == wanted["fingerprints"] and all(line.startswith(PLACES) for line in changed)
        remedy = "they only moved: put or link them where they were, or name another folder" if moved else "name another folder"
        raise InputError(f"{folder} holds another study ({'; '.join(changed)}); {remedy}")


def _job(study: Study, device: str, folder: Path) -> Job[StudyContext, Cell]:
    """The work of a process: it builds a context once, and writes each cell as one file."""
    return Job(functools.partial(StudyContext, study, device), functools.partial(_do, folder))


def _do(folder: Path, context: StudyContext, cell: Cell) -> None:
    checkpoint = Checkpoint(folder / cell.checkpoint)
    RecordFile.write(context.run(cell, checkpoint), folder / cell.file)
    checkpoint.remove()


def _differences(old: Any, new: Any, where: str = "") -> list[str]:
    """The differences between nested settings, as "arms[0].budget: 2500 -> 5000"; a setting that one of them lacks is None there."""
    if isinstance(old, dict) and isinstance(new, dict):
        keys = list(dict.fromkeys([*old, *new]))
        return [line for key in keys for line in _differences(old.get(key), new.get(key), f"{where}.{key}".lstrip("."))]
    if isinstance(old, list) and isinstance(new, list):
        return [line for i, pair in enumerate(zip_longest(old, new)) for line in _differences(*pair, f"{where}[{i}]")]
    return [] if old == new else [f"{where}: {_brief(old)} -> {_brief(new)}"]


def _brief(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= BRIEF else f"{text[:BRIEF]}..."
