"""A process that has everything imported, and forks one child for each command it is told: a command starts in milliseconds.

It reads a JSON line for each: `argv`, `cwd`, and perhaps `signal` with `event` (the child kills itself at that write, rename or removal of
a file below `out`) or `after` (it is killed after so many seconds), `limit` (bytes that a file may have), `humble` (the superuser obeys the
permissions of files too). It answers
with a JSON line: `code` (the exit code; minus the signal), `seconds`, `events` (how many there were), `memory` (the most bytes it had),
`pid`, which is the session's too.
"""

import ctypes
import importlib
import json
import os
import pkgutil
import resource
import signal
import sys
import time
from pathlib import Path

import torch

import optigram
from optigram.apps import cli

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


def child(asked: dict) -> None:
    os.setsid()
    os.chdir(asked["cwd"])
    Path("log").mkdir(exist_ok=True)
    for stream, name in ((1, "log/out"), (2, "log/err")):
        os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666), stream)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if asked.get("humble"):
        drop_capabilities()
    if "limit" in asked:
        resource.setrlimit(resource.RLIMIT_FSIZE, (asked["limit"], asked["limit"]))
    count, log = 0, os.open("log/events", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)

    def watch(event: str, args: tuple) -> None:
        nonlocal count
        written = event == "open" and isinstance(args[2], int) and args[2] & WRITING
        if (written or event in ("os.rename", "os.remove", "os.mkdir", "os.truncate")) and _here(args[0]):
            count += 1
            os.pwrite(log, str(count).encode(), 0)
            if count == asked.get("event"):
                os.kill(os.getpid(), asked["signal"])

    sys.addaudithook(watch)
    sys.argv = ["optigram", *asked["argv"]]
    cli.main()


def drop_capabilities() -> None:
    header, none = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    assert ctypes.CDLL(None).capset(header, none) == 0


def import_all() -> None:
    """What a command imports when it needs it."""
    importlib.import_module("torch._dynamo")
    for module in pkgutil.walk_packages(optigram.__path__, "optigram."):
        if "ray" not in module.name and not module.name.endswith("__main__"):
            importlib.import_module(module.name)


def _here(path: object) -> bool:
    return isinstance(path, str | os.PathLike) and Path.cwd() / "out" in (Path.cwd() / Path(path), *(Path.cwd() / Path(path)).parents)


def run(asked: dict) -> dict:
    begun = time.monotonic()
    pid = os.fork()
    if not pid:
        code = 1
        try:
            child(asked)
        except SystemExit as error:
            code = error.code if isinstance(error.code, int) else 0
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    if "after" in asked:
        while time.monotonic() < begun + asked["after"] and not os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            time.sleep(0.001)
        os.kill(pid, asked["signal"])
    _, status, used = os.wait4(pid, 0)
    events = Path(asked["cwd"], "log", "events")
    found = int(events.read_text() or 0) if events.exists() else 0
    return {
        "code": os.waitstatus_to_exitcode(status),
        "seconds": time.monotonic() - begun,
        "events": found,
        "pid": pid,
        "memory": used.ru_maxrss << 10,
    }


if __name__ == "__main__":
    torch.set_num_threads(1)
    import_all()
    for line in sys.stdin:
        sys.stdout.write(json.dumps(run(json.loads(line))) + "\n")
        sys.stdout.flush()
