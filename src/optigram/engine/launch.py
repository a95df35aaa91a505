"""Choose an engine by name, and the share of the tasks of this process under torchrun, srun or a Slurm array."""

import functools
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from optigram.engine import processes
from optigram.engine.job import Engine
from optigram.errors import InputError

ENGINES = ("local", "processes", "ray")
RANKS = (("RANK", "WORLD_SIZE"), ("SLURM_PROCID", "SLURM_NTASKS"))  # of torchrun, of srun
LOCAL_RANKS = ("LOCAL_RANK", "SLURM_LOCALID")
ARRAY = tuple(f"SLURM_ARRAY_TASK_{name}" for name in ("ID", "MIN", "COUNT", "STEP"))

Task = TypeVar("Task")


@dataclass(frozen=True)
class Place:
    """The `rank` of this process among `world` processes that share the work. Raises InputError unless 0 <= rank < world."""

    rank: int = 0
    world: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.rank < self.world:
            raise InputError(f"expected a rank from 0 to {self.world - 1} for a world of {self.world}, got {self.rank}; ranks start at 0")

    @classmethod
    def launched(cls, environment: Mapping[str, str] = os.environ) -> "Place | None":
        """The place of this process if torchrun, srun or a Slurm array started it as one of several; else None.

        Several processes per task of an array are ranked among the processes of all tasks. Raises InputError for an array with gaps, whose
        shards no process would read.
        """
        inner = next((_numbers(environment, names) for names in RANKS if set(names) <= set(environment)), None)
        if not set(ARRAY[:3]) <= set(environment):
            return None if inner is None else cls(*inner)
        (rank, world), step = inner or (0, 1), int(environment.get(ARRAY[3], "1"))
        task, first, count = _numbers(environment, ARRAY[:3])
        if (task - first) // step >= count:
            raise InputError(f"the Slurm array has gaps: got task {task} of {count} from {first}; give --rank and --world")
        return cls((task - first) // step * world + rank, count * world)

    def share(self, tasks: Sequence[Task]) -> list[Task]:
        """The tasks of this rank: every `world`-th, so that the ranks partition all tasks."""
        return list(tasks[self.rank :: self.world])

    @staticmethod
    def device(device: str, devices: int, environment: Mapping[str, str] = os.environ) -> str:
        """The device of this process if several on one machine were started for "cuda": one of the `devices` each, round robin."""
        local = next((int(environment[name]) for name in LOCAL_RANKS if name in environment), None)
        return device if device != "cuda" or local is None or devices == 0 else f"cuda:{local % devices}"

    @staticmethod
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


def _numbers(environment: Mapping[str, str], names: Sequence[str]) -> list[int]:
    try:
        return [int(environment[name]) for name in names]
    except ValueError as error:
        raise InputError(f"expected numbers in {', '.join(names)}, got {[environment[name] for name in names]}; unset them") from error
