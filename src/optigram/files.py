"""Files are written whole: to a temporary name beside the target, then renamed over it. So are the folders of the cache."""

import contextlib
import errno
import json
import os
import platform
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from optigram.errors import InputError

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)
ABANDONED = 24 * 3600  # seconds after which a temporary folder of the cache is nobody's


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


@dataclass(frozen=True)
class FolderCache:
    """Folders of one `kind` in the cache, by key, of `room` bytes in all. Several processes may use it at once.

    A folder is complete as soon as it can be found, for it is renamed to its key when it is. Those that were used least recently make
    room for new ones.
    """

    kind: str
    room: int

    @staticmethod
    def base() -> Path:
        """Where optigram keeps what can be computed again: `OPTIGRAM_CACHE`, or `optigram` in `XDG_CACHE_HOME` or `~/.cache`."""
        named = os.environ.get("OPTIGRAM_CACHE")
        return Path(named) if named else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "optigram"

    @property
    def path(self) -> Path:
        """The folder of folders."""
        return self.base() / self.kind

    def find(self, key: str) -> Path | None:
        """The folder of this key, if it is there."""
        found = self.path / key
        try:
            os.utime(found)
        except OSError:
            return found if found.is_dir() else None  # a cache that may only be read
        return found

    def keep(self, key: str, size: int, write: Callable[[Path], None]) -> Path | None:
        """The folder of this key, of about `size` bytes, which `write` fills. None if it is too large, or cannot be written."""
        if size > self.room:
            return None
        final, temporary = self.path / key, self.path / f".{key}.{secrets.token_hex(6)}.tmp"
        try:
            temporary.mkdir(parents=True)
            write(temporary)
            self._make_room(_size(temporary))
            with contextlib.suppress(OSError):  # another process was first: its folder is as good
                temporary.rename(final)
        except OSError:
            return None
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        return self.find(key)

    def _make_room(self, size: int) -> None:
        for left in self.path.glob(".*.tmp"):
            if time.time() - left.stat().st_mtime > ABANDONED:
                shutil.rmtree(left, ignore_errors=True)
        kept = sorted(self.path.glob("[!.]*"), key=lambda folder: folder.stat().st_mtime)
        taken = [_size(folder) for folder in kept]
        while kept and sum(taken) + size > self.room:
            shutil.rmtree(kept.pop(0), ignore_errors=True)
            del taken[0]


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
