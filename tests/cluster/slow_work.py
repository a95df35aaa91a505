"""Jobs that leave time to kill who does them, or that fail."""

import functools
import os
import time
from pathlib import Path

from optigram.engine.job import Job
from optigram.errors import InputError
from optigram.scanning.worker import Worker

PAUSE = 1.0


def slowly(folder: Path) -> Job:
    """Shards are read after a pause, in which a file says who is at work."""
    return Job(Worker.job(folder).build, functools.partial(_slow, folder))


def _slow(folder: Path, worker: Worker, shard: int) -> None:
    note = folder / "at_work" / str(os.getpid())
    note.parent.mkdir(exist_ok=True)
    note.write_text(str(os.getpid()))
    time.sleep(PAUSE)
    worker.write(folder, shard)


def fail(folder: Path) -> Job:
    """Every task fails."""
    return Job(functools.partial(str, folder), _bad)


def _bad(worker: str, task: int) -> None:
    raise InputError(f"bad task {task}")
