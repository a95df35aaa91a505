"""From a data set's name to its folder: the archive downloaded or at hand, the wanted files unpacked, the layout checked."""

import shutil
from collections.abc import Callable
from pathlib import Path

from optigram.errors import InputError, nearest
from optigram.files import writable_folder
from optigram.papers.poerner2018.archives import folder_made_whole, unpack
from optigram.papers.poerner2018.data import Dataset
from optigram.papers.poerner2018.download import PAGE, RECORD, Remote, download, look_up
from optigram.papers.poerner2018.layouts import KARPATHY_FILES, VENDROV_FILES, read_folder

# Where the files of a data set end in data.tgz, and what they are called in the folder that it is unpacked to.
CONTENTS = {
    "coco": {f"vendrov/data/coco/{name}": name for name in VENDROV_FILES},
    "flickr8k": {f"flickr8k/{name}": name for name in KARPATHY_FILES},
}


def obtain(
    name: str,
    out: Path,
    archive: Path | None = None,
    record: str = RECORD,
    tell: Callable[[str], None] = lambda text: None,
    watch: Callable[[int, int, str], None] = lambda done, total, what: None,
) -> tuple[Path, Dataset]:
    """The folder `out`/`name` and what was read from it. `archive` is `data.tgz` where it has been downloaded already.

    The folder appears when all is unpacked and read, and not before. `tell` hears what is done, `watch` how far it is.
    """
    if name not in CONTENTS:
        raise InputError(f"expected a data set among {', '.join(CONTENTS)}, got {name!r}{nearest(name, CONTENTS)}")
    place = out / name
    if place.exists():
        return place, read_folder(place)
    writable_folder(out)
    if archive is None:
        remote = look_up(record)
        tell(f"downloading {remote.name} of {PAGE}, {remote.size / 1e9:.2f} GB, to {out / remote.name}")
        _check_room(remote, out)
        archive = download(remote, out, watch)
    tell(f"unpacking {name} from {archive} to {place}")
    with folder_made_whole(place) as folder:
        unpack(archive, folder, CONTENTS[name], watch)
        found = read_folder(folder)
    return place, found


def _check_room(remote: Remote, out: Path) -> None:
    have = sum(path.stat().st_size for path in (out / remote.name, out / f"{remote.name}.part") if path.exists())
    if remote.size - have > (free := shutil.disk_usage(out).free):
        raise InputError(
            f"{remote.name} needs {remote.size - have:,} bytes more, and {free:,} are free in {out}; make room, or name another --out"
        )
