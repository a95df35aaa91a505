"""The contract of all engines: a job defines how each process builds its worker, and what the worker does with a task.

A task leaves one complete file, or nothing. An engine yields a task once its file is there, in any order, and raises the errors of
tasks. If a worker is lost, an engine that can replace it repeats the task.
"""

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

Worker = TypeVar("Worker")
Task = TypeVar("Task", bound=Hashable)


@dataclass(frozen=True)
class Job(Generic[Worker, Task]):
    """`build()` makes a worker; `do(worker, task)` writes the file of the task. Both are pickled: module functions or partials."""

    build: Callable[[], Worker]
    do: Callable[[Worker, Task], object]


Engine = Callable[[Job, Sequence], Iterator]
