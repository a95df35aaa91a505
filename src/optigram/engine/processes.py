"""The engine `processes`: several processes on one machine, each with one thread and its own worker."""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.synchronize import Event
from typing import Any

import torch

from optigram.engine.job import Job, Task, Worker
from optigram.engine.threads import one_thread
from optigram.errors import InputError

LOOK = 0.2  # seconds between checks of a worker whether it should end
_here: list[Any] = []  # job and worker of a worker process: a pool has no other place for them


def run(job: Job[Worker, Task], tasks: Sequence[Task], workers: int) -> Iterator[Task]:
    """Run tasks in `workers` processes (0: in this one) and yield each when it is done.

    Raises InputError if a process was killed; the files of finished tasks remain.
    """
    if workers == 0 or not tasks:
        yield from _run_here(job, tasks)
        return
    context = multiprocessing.get_context("spawn")
    unwanted = context.Event()
    with ProcessPoolExecutor(min(workers, len(tasks)), context, _begin_worker, (job, unwanted)) as pool:
        futures = {pool.submit(_do, task): task for task in tasks}
        try:
            for future in as_completed(futures):
                future.result()
                yield futures[future]
        except BrokenProcessPool as error:
            raise InputError(
                "a worker process was killed, perhaps out of memory; run the same command again with fewer --workers"
            ) from error
        except BaseException:
            unwanted.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def begin_process(unwanted: Event | None = None) -> None:
    """Set up a process of a pool. It ignores Ctrl-C, which its parent handles, and ends when the parent ends or sets `unwanted`."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, args=(unwanted,), daemon=True).start()
    torch.set_num_threads(1)


def _begin_worker(job: Job[Any, Any], unwanted: Event) -> None:
    begin_process(unwanted)
    _here[:] = [job]


def _end_with_parent(unwanted: Event | None) -> None:
    parent = multiprocessing.parent_process()
    while parent is not None and parent.is_alive() and not (unwanted is not None and unwanted.is_set()):
        time.sleep(LOOK)
    os._exit(1)


def _do(task: Any) -> None:
    if len(_here) == 1:  # built with the first task, so that the pool raises an error of building
        _here.append(_here[0].build())
    job, worker = _here
    job.do(worker, task)


def _run_here(job: Job[Worker, Task], tasks: Sequence[Task]) -> Iterator[Task]:
    """Run tasks in order and yield each when it is done. The worker is built only if there is a task."""
    if not tasks:
        return
    with one_thread():
        worker = job.build()
        for task in tasks:
            job.do(worker, task)
            yield task
