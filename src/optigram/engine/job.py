"""The contract of all engines: a job says how a worker is built in each process, and what it does with a task.

What comes of a task is one whole file, or nothing; an engine yields a task when its file is there, in any order. Errors
of a task are raised. The loss of a worker is no error of its task where the engine can find another one.
"""

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

Worker = TypeVar("Worker")
Task = TypeVar("Task", bound=Hashable)


@dataclass(frozen=True)
class Job(Generic[Worker, Task]):
    """`build()` makes a worker; `do(worker, task)` leaves the task's file. Both are pickled: functions of modules, or partials."""

    build: Callable[[], Worker]
    do: Callable[[Worker, Task], object]


Engine = Callable[[Job, Sequence], Iterator]
