"""Which engine a name stands for, and which part of the tasks falls to this process where several were started from outside."""

import functools
import os
from collections.abc import Mapping, Sequence
from typing import TypeVar

from optigram.engine import local, processes
from optigram.engine.job import Engine
from optigram.errors import InputError

ENGINES = ("local", "processes", "ray")
RANKS = (("RANK", "WORLD_SIZE"), ("SLURM_PROCID", "SLURM_NTASKS"))  # of torchrun, of srun

Task = TypeVar("Task")


def engine_named(name: str, workers: int, address: str | None = None, graphics: bool = False) -> Engine:
    """The engine of a name with so many workers; `address` is that of a Ray cluster, `graphics` whether each wants a GPU."""
    match name:
        case "local":
            return local.run
        case "processes":
            return functools.partial(processes.run, workers=workers)
        case "ray":
            from optigram.engine.clusters import run

            return functools.partial(run, workers=workers, address=address, graphics=graphics)
    raise InputError(f"expected --engine {', '.join(ENGINES)}, got {name!r}")


def place_in_world(environment: Mapping[str, str] = os.environ) -> tuple[int, int] | None:
    """The rank of this process and the number of all, where torchrun or srun started it as one of several; else None."""
    for rank, world in RANKS:
        if rank in environment and world in environment:
            return checked_place(int(environment[rank]), int(environment[world]))
    return None


def checked_place(rank: int, world: int) -> tuple[int, int]:
    """Rank and world, if they fit together."""
    if not 0 <= rank < world:
        raise InputError(f"expected a rank from 0 to {world - 1} of {world}, got {rank}")
    return rank, world


def share(tasks: Sequence[Task], rank: int, world: int) -> list[Task]:
    """The tasks that fall to a rank: every so-manieth, so that the shares of all ranks are all tasks, each once."""
    return list(tasks[rank::world])
