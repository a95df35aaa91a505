"""Files are written whole: to a temporary name beside the target, then renamed over it. So are the folders of the cache."""

import contextlib
import errno
import json
import os
import platform
import re
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from optigram.errors import InputError

try:
    import fcntl
except ImportError:  # Windows has no such locks: what a killed process leaves there stays
    fcntl = None

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
NO_RIGHT = (errno.EROFS, errno.EACCES, errno.EPERM)
REMEDY = dict.fromkeys(NO_ROOM, "make room and run the same again") | dict.fromkeys(NO_RIGHT, "allow writing there, or name another place")
OS_ERROR = re.compile(r"\(os error (\d+)\)")  # as libraries in Rust, such as safetensors, write it into errors of their own
CACHE_FOLDER = "OPTIGRAM_CACHE"  # the environment variable that names the folder of all caches
LONGEST = 50  # characters of a name, which is to be no longer with what is put around it than file systems allow
ABANDONED = 24 * 3600  # seconds after which a temporary folder of the cache is nobody's


@contextlib.contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Yield a temporary path to write to; rename it to `path` on success, remove it on any failure.

    Raises InputError where the disk is full, the name is too long, and where nothing may be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _temporary(path) as temporary:
            yield temporary
            temporary.replace(path)
    except InputError:
        raise
    except Exception as error:
        number = _number_of(error)
        if number == errno.ENAMETOOLONG:
            raise InputError(f"cannot write {str(path)[:60]}... (the name is too long); give a shorter one") from error
        if number not in REMEDY or not _about(error, path):
            raise
        raise InputError(f"cannot write {path} ({os.strerror(number)}); {REMEDY[number]}") from error


def writable_folder(path: Path) -> Path:
    """Make the folder and try it, so that an unwritable one is known before the work and not after it. Raises InputError."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        with _temporary(path / "writable") as probe:
            probe.unlink()
    except OSError as error:
        raise InputError(f"cannot write to the folder {path} ({error.strerror}); name another one") from error
    return path


@contextlib.contextmanager
def _temporary(path: Path) -> Iterator[Path]:
    """A new empty file beside `path`, removed on failure.

    Its name is always the same, so that whoever writes a file again overwrites what a killed process has left of it, unless another
    process is writing it: that one holds a lock.
    """
    temporary = path.with_name(f".{path.name[:LONGEST]}.tmp")
    descriptor = _claimed(temporary)
    if descriptor is None:
        temporary = path.with_name(f".{path.name[:LONGEST]}.{secrets.token_hex(6)}.tmp")
        temporary.touch()
    try:
        yield temporary
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _claimed(temporary: Path) -> int | None:
    """Make an empty file that is locked, and give its descriptor; None where another process has it, and where there are no locks."""
    while fcntl is not None:
        try:
            descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
        except OSError:  # such as what another user left
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            if not isinstance(error, BlockingIOError):  # a file system without locks, on which nobody writes to this name
                temporary.unlink(missing_ok=True)
            return None
        if _still_there(temporary, descriptor):
            os.ftruncate(descriptor, 0)
            return descriptor
        os.close(descriptor)
    return None


def _still_there(path: Path, descriptor: int) -> bool:
    """Whether an open file was neither renamed nor removed."""
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _number_of(error: Exception) -> int | None:
    """The number of the operating system's error that an exception is, or was made of by a library."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno
    found = OS_ERROR.search(str(error))
    return int(found[1]) if found else None


def _about(error: Exception, path: Path) -> bool:
    """Whether an error is about writing `path`: about no file by name, or about its folder or a file there."""
    name = error.filename if isinstance(error, OSError) else None
    return name is None or Path(os.fsdecode(name)).parent == path.parent or Path(os.fsdecode(name)) in path.parents


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
        named = os.environ.get(CACHE_FOLDER)
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

    def bytes(self) -> int:
        """What all folders take."""
        return _size(self.path)

    def clear(self) -> int:
        """Remove all folders; the number of bytes that this frees."""
        freed = self.bytes()
        shutil.rmtree(self.path, ignore_errors=True)
        return freed

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
