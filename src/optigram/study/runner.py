"""Running a study: its cells in worker processes, each cell one whole file, so that a study may be killed and goes on.

A study's folder holds `manifest.json` (what is run, on what, by which versions), `cells/` and, once all are done,
`records.parquet`, every record in the order of the study.
"""

import dataclasses
import functools
import json
from collections.abc import Callable
from pathlib import Path

from optigram.engine import processes
from optigram.engine.job import Engine, Job
from optigram.errors import InputError
from optigram.files import versions, writable_folder, written_whole
from optigram.runs.folder import CELLS, MANIFEST, RECORDS
from optigram.runs.records import Record, read, write
from optigram.study.cells import Cell, StudyContext, missing
from optigram.study.spec import Study, differences

Show = Callable[[int, int, str], None]  # cells done, of how many, what was done last


def run_study(
    study: Study,
    workshop: StudyContext,
    folder: Path,
    workers: int,
    show: Show = lambda done, total, what: None,
    engine: Engine | None = None,
) -> list[Record]:
    """The records of a study, made by `workers` processes (0: by this one) of one thread each, or by `engine`; `folder` may hold some.

    Raises InputError if the folder belongs to another study, naming the differences.
    """
    writable_folder(folder / CELLS)
    _claim(study, workshop, folder)
    cells = workshop.cells()
    todo = missing(cells, folder / CELLS)
    done = len(cells) - len(todo)
    show(done, len(cells), "")
    job = _job(study, workshop.device, folder / CELLS)
    if workers == 0:
        job = dataclasses.replace(job, build=lambda: workshop)  # this process has one already
    for cell in (engine or functools.partial(processes.run, workers=workers))(job, todo):
        done += 1
        show(done, len(cells), f"{cell.arm} {cell.method}")
    records = [record for cell in cells for record in read(folder / CELLS / cell.file)]
    write(records, folder / RECORDS)
    return records


def _claim(study: Study, workshop: StudyContext, folder: Path) -> None:
    """Write the manifest, or compare it with the one that is there."""
    wanted = {"study": study.to_dict(), "fingerprints": workshop.fingerprints(), "versions": versions(), "device": workshop.device}
    path = folder / MANIFEST
    if path.exists():
        changed = differences(json.loads(path.read_text(encoding="utf-8")), wanted)
        if changed:
            raise InputError(f"{folder} holds another study ({'; '.join(changed)}); name another folder")
        return
    with written_whole(path) as temporary:
        temporary.write_text(json.dumps(wanted, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _job(study: Study, device: str, folder: Path) -> Job[StudyContext, Cell]:
    """How cells are done: by a workshop in each process, each cell one whole file."""
    return Job(functools.partial(StudyContext, study, device), functools.partial(_do, folder))


def _do(folder: Path, workshop: StudyContext, cell: Cell) -> None:
    write(workshop.run(cell), folder / cell.file)
