"""Running a study: its cells in worker processes, each cell one whole file, so that a study may be killed and goes on.

A study's folder holds `manifest.json` (what is run, on what, by which versions), `cells/` and, once all are done,
`records.parquet`, every record in the order of the study.
"""

import json
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.synchronize import Event
from pathlib import Path

import torch

from optigram.errors import InputError
from optigram.files import writable_folder, written_whole
from optigram.study.cells import Cell, Workshop, missing
from optigram.study.folders import CELLS, MANIFEST, RECORDS
from optigram.study.records import Record, read, write
from optigram.study.runs import versions
from optigram.study.spec import Study, differences
from optigram.study.threads import one_thread

LOOK = 0.2  # seconds between two looks of a worker at whether it is still wanted

Show = Callable[[int, int, str], None]  # cells done, of how many, what was done last


def conduct(study: Study, workshop: Workshop, folder: Path, workers: int, show: Show = lambda done, total, what: None) -> list[Record]:
    """The records of a study, made by `workers` processes (0: by this one) of one thread each; `folder` may hold a part of them.

    Raises InputError if the folder belongs to another study, naming the differences.
    """
    writable_folder(folder / CELLS)
    _claim(study, workshop, folder)
    cells = workshop.cells()
    todo = missing(cells, folder / CELLS)
    done = len(cells) - len(todo)
    show(done, len(cells), "")
    for cell in _run(study, workshop, todo, folder / CELLS, workers):
        done += 1
        show(done, len(cells), f"{cell.arm} {cell.method}")
    records = [record for cell in cells for record in read(folder / CELLS / cell.file)]
    write(records, folder / RECORDS)
    return records


def _claim(study: Study, workshop: Workshop, folder: Path) -> None:
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


def _run(study: Study, workshop: Workshop, cells: Sequence[Cell], folder: Path, workers: int) -> Iterator[Cell]:
    """Do cells; each is yielded when its file is there."""
    if workers == 0:
        with one_thread():
            for cell in cells:
                _do(workshop, cell, folder)
                yield cell
        return
    context = multiprocessing.get_context("spawn")
    unwanted = context.Event()
    with ProcessPoolExecutor(min(workers, max(len(cells), 1)), context, _begin_worker, (study, workshop.device, unwanted)) as pool:
        futures = {pool.submit(_do_in_worker, cell, folder): cell for cell in cells}
        try:
            for future in as_completed(futures):
                future.result()
                yield futures[future]
        except BrokenProcessPool as error:
            raise InputError("a worker process was killed, perhaps for want of memory; run the same again with fewer --workers") from error
        except BaseException:
            unwanted.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _do(workshop: Workshop, cell: Cell, folder: Path) -> None:
    write(workshop.run(cell), folder / cell.file)


_here: list[Workshop] = []  # a worker process's own workshop: a pool has no other place for it


def _begin_worker(study: Study, device: str, unwanted: Event) -> None:
    """Set up a worker. Ctrl-C is its parent's business; it ends at once when the parent has ended or wants it no more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, args=(unwanted,), daemon=True).start()
    torch.set_num_threads(1)
    _here.append(Workshop(study, device))


def _end_with_parent(unwanted: Event) -> None:
    parent = multiprocessing.parent_process()
    while parent is not None and parent.is_alive() and not unwanted.is_set():
        time.sleep(LOOK)
    os._exit(1)


def _do_in_worker(cell: Cell, folder: Path) -> None:
    _do(_here[0], cell, folder)
