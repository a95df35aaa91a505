"""From the name of a data set to its folder: download the archive if needed, unpack the files, check the layout."""

import contextlib
import gzip
import shutil
import tarfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePosixPath

from optigram.errors import InputError, nearest
from optigram.files import writable_folder
from optigram.papers.poerner2018.data import Dataset
from optigram.papers.poerner2018.download import RECORD, fetch
from optigram.papers.poerner2018.layouts import KARPATHY_FILES, VENDROV_FILES, read_folder

# Endings of the paths of a data set in data.tgz, and their names in its folder.
CONTENTS = {
    "coco": {f"vendrov/data/coco/{name}": name for name in VENDROV_FILES},
    "flickr8k": {f"flickr8k/{name}": name for name in KARPATHY_FILES},
}
CHUNK = 1 << 20  # bytes


def obtain(
    name: str,
    out: Path,
    archive: Path | None = None,
    record: str = RECORD,
    tell: Callable[[str], None] = lambda text: None,
    watch: Callable[[int, int, str], None] = lambda done, total, what: None,
) -> tuple[Path, Dataset]:
    """The folder `out`/`name` and the data set in it. `archive` is `data.tgz` if it is downloaded already.

    The folder appears once everything is unpacked and read. `tell` is called with each step, `watch(done, total, what)` with its
    progress.
    """
    if name not in CONTENTS:
        raise InputError(f"expected a data set among {', '.join(CONTENTS)}, got {name!r}{nearest(name, CONTENTS)}")
    place = out / name
    if place.exists():
        return place, read_folder(place)
    writable_folder(out)
    if archive is None:
        archive = fetch(out, record, tell, watch)
    tell(f"unpacking {name} from {archive} to {place}")
    with _folder_made_whole(place) as folder:
        _unpack(archive, folder, CONTENTS[name], watch)
        found = read_folder(folder)
    return place, found


@contextlib.contextmanager
def _folder_made_whole(path: Path) -> Iterator[Path]:
    """Yield an empty folder beside `path`. On success it is renamed to `path`; on failure it is removed, as is what a killed run left."""
    temporary = path.with_name(f".{path.name}.unpacking")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        yield temporary
        temporary.rename(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _unpack(
    archive: Path,
    folder: Path,
    wanted: Mapping[str, str],
    watch: Callable[[int, int, str], None] = lambda done, total, what: None,
) -> None:
    """Copy the members of a `.tgz` whose paths end in a key of `wanted` to `folder` / value.

    `watch(done, total, name)` is called with the bytes read. Raises InputError for an archive that is torn, lacks a wanted
    file, or holds any member, wanted or not, that would reach outside: an absolute path, `..`, a link that leads out, a device.
    """
    missing, size = dict(wanted), 0
    try:
        size = archive.stat().st_size
        with archive.open("rb") as packed, gzip.open(packed) as plain, tarfile.open(fileobj=plain, mode="r|") as tar:
            for member in tar:
                _refuse_hostile(member, archive, folder)
                ending = next((ending for ending in missing if f"/{member.name}".endswith(f"/{ending}")), None)
                if ending is not None:
                    _copy(tar, member, folder / missing.pop(ending), lambda: watch(packed.tell(), size, archive.name))
                watch(packed.tell(), size, archive.name)
            while plain.read(CHUNK):  # gzip checks its checksum at the very end
                pass
    except (OSError, EOFError, tarfile.TarError, zlib.error) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"cannot unpack {str(archive)!r}: {reason}; expected a whole .tgz, download it again") from error
    if missing:
        raise InputError(f"{str(archive)!r} has no {', '.join(missing)}; expected the archive as it was published")


def _refuse_hostile(member: tarfile.TarInfo, archive: Path, folder: Path) -> None:
    """Refuse what `tarfile.data_filter` refuses, and also a leading slash and `..`, which it would strip or resolve."""
    path = PurePosixPath(member.name)
    try:
        tarfile.data_filter(member, str(folder))
    except tarfile.FilterError as error:
        raise InputError(f"refused to unpack {str(archive)!r}: {error}; get it from its publisher") from error
    if path.is_absolute() or ".." in path.parts:
        raise InputError(f"refused to unpack {str(archive)!r}: {member.name!r} leads outside the folder; get it from its publisher")


def _copy(tar: tarfile.TarFile, member: tarfile.TarInfo, place: Path, watch: Callable[[], None]) -> None:
    source = tar.extractfile(member) if member.isreg() else None
    if source is None:
        raise InputError(
            f"refused to unpack {member.name!r}: expected a plain file, got a link or a folder; get the archive from its publisher"
        )
    place.parent.mkdir(parents=True, exist_ok=True)
    if member.size > (free := shutil.disk_usage(place.parent).free):
        raise InputError(f"{member.name!r} needs {member.size:,} bytes, and {free:,} are free in {place.parent.parent}; make room")
    with source, place.open("wb") as file:
        while chunk := source.read(CHUNK):
            file.write(chunk)
            watch()
