"""Processes and threads: results are computed on one thread per process, whatever the number of processes."""

import contextlib
import os
from collections.abc import Iterator

import torch


def cores() -> int:
    """The number of CPUs this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Run torch on one thread: matrix products may round differently on two."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
