"""Choose an engine by name, and the share of the tasks of this process under torchrun, srun or a Slurm array."""

import functools
import os
from collections.abc import Mapping, Sequence
from typing import TypeVar

from optigram.engine import processes
from optigram.engine.job import Engine
from optigram.errors import InputError

ENGINES = ("local", "processes", "ray")
RANKS = (("RANK", "WORLD_SIZE"), ("SLURM_PROCID", "SLURM_NTASKS"))  # of torchrun, of srun
LOCAL_RANKS = ("LOCAL_RANK", "SLURM_LOCALID")
ARRAY = tuple(f"SLURM_ARRAY_TASK_{name}" for name in ("ID", "MIN", "COUNT", "STEP"))

Task = TypeVar("Task")


def engine_named(name: str, workers: int, address: str | None = None, graphics: bool = False) -> Engine:
    """The engine `name` with `workers` workers; `address` of a Ray cluster; `graphics`: whether each worker needs a GPU."""
    match name:
        case "local":
            return functools.partial(processes.run, workers=0)
        case "processes":
            return functools.partial(processes.run, workers=workers)
        case "ray":
            from optigram.engine.ray_cluster import run

            return functools.partial(run, workers=workers, address=address, graphics=graphics)
    raise InputError(f"expected --engine {', '.join(ENGINES)}, got {name!r}; choose one of them")


def place_in_world(environment: Mapping[str, str] = os.environ) -> tuple[int, int] | None:
    """Rank and world size of this process if torchrun, srun or a Slurm array started it as one of several; else None.

    Several processes per task of an array are ranked among the processes of all tasks. Raises InputError for an array with gaps, whose
    shards no process would read.
    """
    inner = next((_numbers(environment, names) for names in RANKS if set(names) <= set(environment)), None)
    if not set(ARRAY[:3]) <= set(environment):
        return None if inner is None else checked_place(inner[0], inner[1])
    (rank, world), step = inner or (0, 1), int(environment.get(ARRAY[3], "1"))
    task, first, count = _numbers(environment, ARRAY[:3])
    if (task - first) // step >= count:
        raise InputError(f"the Slurm array has gaps: got task {task} of {count} from {first}; give --rank and --world")
    return checked_place((task - first) // step * world + rank, count * world)


def own_device(device: str, devices: int, environment: Mapping[str, str] = os.environ) -> str:
    """The device of this process if several on one machine were started for "cuda": one of the `devices` each, round robin."""
    local = next((int(environment[name]) for name in LOCAL_RANKS if name in environment), None)
    return device if device != "cuda" or local is None or devices == 0 else f"cuda:{local % devices}"


def _numbers(environment: Mapping[str, str], names: Sequence[str]) -> list[int]:
    try:
        return [int(environment[name]) for name in names]
    except ValueError as error:
        raise InputError(f"expected numbers in {', '.join(names)}, got {[environment[name] for name in names]}; unset them") from error


def checked_place(rank: int, world: int) -> tuple[int, int]:
    """Rank and world size, checked: 0 <= rank < world."""
    if not 0 <= rank < world:
        raise InputError(f"expected a rank from 0 to {world - 1} for a world of {world}, got {rank}; ranks start at 0")
    return rank, world


def share(tasks: Sequence[Task], rank: int, world: int) -> list[Task]:
    """The tasks of a rank: every `world`-th, so that the ranks partition all tasks."""
    return list(tasks[rank::world])
