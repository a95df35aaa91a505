"""The engine `local`: tasks run in this process, one after the other, on one thread."""

from collections.abc import Iterator, Sequence

from optigram.engine.job import Job, Task, Worker
from optigram.engine.threads import one_thread


def run(job: Job[Worker, Task], tasks: Sequence[Task]) -> Iterator[Task]:
    """Run tasks in order and yield each when it is done. The worker is built only if there is a task."""
    if not tasks:
        return
    with one_thread():
        worker = job.build()
        for task in tasks:
            job.do(worker, task)
            yield task
