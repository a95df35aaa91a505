"""The engine `ray`: actors of a Ray cluster, each with a worker and one GPU or CPU, replaced when they are lost.

Tasks leave files, so only their names are sent. If an actor is lost, another one repeats its task. A task that loses several actors is
given up: it is probably what kills them.
"""

import contextlib
import importlib
import importlib.util
import os
import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from optigram.engine.job import Job, Task, Worker
from optigram.errors import InputError

TRIES = 4  # actors that a task may lose
PATIENCE = 600.0  # seconds without a living actor before the run fails
LOOK = 1.0  # seconds between checks for actors that have started


def run(job: Job[Worker, Task], tasks: Sequence[Task], workers: int, address: str | None = None, graphics: bool = False) -> Iterator[Task]:
    """Run tasks on `workers` actors and yield each when it is done. `address` joins a running cluster, such as "auto".

    Raises InputError if ray is not installed, the cluster cannot be joined, or a task loses `TRIES` actors.
    """
    if not tasks:
        return
    ray = _ray()
    if ours := not ray.is_initialized():
        _join(ray, address, workers)
    crew = _Crew(ray, job, min(workers, len(tasks)), graphics)
    try:
        yield from crew.go(tasks)
    finally:
        crew.dismiss()  # actors keep their CPUs and GPUs until they are killed
        if ours:
            ray.shutdown()


class _Crew:
    """Actors: starting, idle and busy ones."""

    def __init__(self, ray: Any, job: Job[Any, Any], size: int, graphics: bool) -> None:
        self.ray, self.job, self.size = ray, job, size
        resources = {"num_cpus": 1, "num_gpus": 1 if graphics else 0, "max_restarts": 0}
        self.make = ray.remote(**resources)(_Actor)
        self.coming: dict[Any, Any] = {}
        self.idle: list[Any] = []
        self.busy: dict[Any, tuple[Any, Any]] = {}

    def go(self, tasks: Sequence[Any]) -> Iterator[Any]:
        """Run tasks and yield them as they are done."""
        waiting, lost, alive = deque(tasks), Counter(), time.monotonic()
        while waiting or self.busy:
            while len(self.coming) + len(self.idle) + len(self.busy) < min(self.size, len(waiting) + len(self.busy)):
                actor = self.make.remote(self.job, str(Path.cwd()))
                self.coming[actor.ready.remote()] = actor
            while waiting and self.idle:
                actor, task = self.idle.pop(), waiting.popleft()
                self.busy[actor.do.remote(task)] = (actor, task)
            done, _ = self.ray.wait([*self.coming, *self.busy], num_returns=1, timeout=LOOK)
            alive = time.monotonic() if self.busy or self.idle or done else alive
            if time.monotonic() - alive > PATIENCE:
                raise InputError("the cluster had no room for a worker for ten minutes; ask for fewer --workers, or add nodes")
            for reference in done:
                task = self._settle(reference, waiting, lost)
                if task is not None:
                    yield task[0]

    def _settle(self, reference: Any, waiting: deque[Any], lost: Counter[Any]) -> tuple[Any] | None:
        """Handle a finished call: an actor has started, a task is done (returned), or an actor is lost."""
        new = reference in self.coming
        actor, task = (self.coming.pop(reference), None) if new else self.busy.pop(reference)
        try:
            self.ray.get(reference)
        except self.ray.exceptions.RayActorError:
            if not new:
                lost[task] += 1
                if lost[task] >= TRIES:
                    raise InputError(f"{TRIES} workers were lost over task {task}, perhaps out of memory; see the log of Ray") from None
                waiting.appendleft(task)
            return None
        except self.ray.exceptions.RayTaskError as error:
            cause = error.cause
            raise cause if isinstance(cause, InputError) else error from None
        self.idle.append(actor)
        return None if new else (task,)

    def dismiss(self) -> None:
        """End all actors."""
        for actor in [*self.coming.values(), *self.idle, *(actor for actor, _ in self.busy.values())]:
            self.ray.kill(actor)


class _Actor:
    """A process of the cluster with its worker."""

    def __init__(self, job: Job[Any, Any], folder: str) -> None:
        import torch

        with contextlib.suppress(OSError):  # paths may be relative to it; on a node without this folder they must be absolute
            os.chdir(folder)
        torch.set_num_threads(1)
        self.job, self.worker = job, job.build()

    def ready(self) -> None:
        """Return when the worker is built."""

    def do(self, task: Any) -> None:
        """Run a task."""
        self.job.do(self.worker, task)


def _ray() -> Any:
    if importlib.util.find_spec("ray") is None:
        raise InputError("the engine ray needs the package ray; install it with: pip install 'optigram[ray]'")
    return importlib.import_module("ray")


def _join(ray: Any, address: str | None, workers: int) -> None:
    try:
        if address is None:
            ray.init(address="local", num_cpus=workers, include_dashboard=False, log_to_driver=False)
        else:
            ray.init(address=address, log_to_driver=False)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise InputError(
            f"cannot join a Ray cluster at {address!r} ({' '.join(str(error).split())[:120]}); start one with `ray start`"
        ) from error
