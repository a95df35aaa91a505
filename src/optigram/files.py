"""Files are written whole: to a temporary name beside the target, then renamed over it."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from optigram.errors import InputError


@contextlib.contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Yield a temporary path to write to; rename it to `path` on success, remove it on any failure."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def writable_folder(path: Path) -> Path:
    """Make the folder and try it, so that an unwritable one is known before the work and not after it."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        with written_whole(path / ".writable") as probe:
            probe.touch()
        (path / ".writable").unlink()
    except OSError as error:
        raise InputError(f"cannot write to the folder {path} ({error.strerror}); name another one") from error
    return path
