"""The engine that is this process: one task after the other, on one thread."""

from collections.abc import Iterator, Sequence

from optigram.engine.job import Job, Task, Worker
from optigram.engine.threads import one_thread


def run(job: Job[Worker, Task], tasks: Sequence[Task]) -> Iterator[Task]:
    """Do tasks in their order; each is yielded when it is done. The worker is built when there is a task for it."""
    if not tasks:
        return
    with one_thread():
        worker = job.build()
        for task in tasks:
            job.do(worker, task)
            yield task
