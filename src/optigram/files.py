"""Files are written whole: to a temporary name beside the target, then renamed over it."""

import contextlib
import errno
import json
import os
import platform
import secrets
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

from optigram.errors import InputError

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)


@contextlib.contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Yield a temporary path to write to; rename it to `path` on success, remove it on any failure.

    Raises InputError where the disk is full, or the name is too long.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}.tmp")  # others may write the same file, on other machines too
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        temporary.replace(path)
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise InputError(f"cannot write {str(path)[:60]}... (the name is too long); give a shorter one") from error
        if error.errno not in NO_ROOM:
            raise
        raise InputError(f"cannot write {path} ({os.strerror(error.errno)}); make room and run the same again") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def writable_folder(path: Path) -> Path:
    """Make the folder and try it, so that an unwritable one is known before the work and not after it."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        with written_whole(path / ".writable") as probe:
            probe.touch()
        (path / ".writable").unlink(missing_ok=True)
    except OSError as error:
        raise InputError(f"cannot write to the folder {path} ({error.strerror}); name another one") from error
    return path


def is_file(path: str | Path) -> bool:
    """Whether there is a file of this name; False too for a name that no file can have, such as one of 300 characters."""
    try:
        return Path(path).is_file()
    except (OSError, ValueError):
        return False


def parse_json(text: str | bytes) -> Any:
    """What JSON text says. Raises ValueError for any other text, also for one that is nested too deep to be read."""
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deep") from error


def versions() -> dict[str, str]:
    """Versions of all that numbers depend on."""
    return {name: version(name) for name in ("optigram", "torch", "numpy")} | {"python": platform.python_version()}
