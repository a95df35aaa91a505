"""From the name of a data set to its folder: download the archive if needed, unpack the files, check the layout."""

from collections.abc import Callable
from pathlib import Path

from optigram.errors import InputError, nearest
from optigram.files import writable_folder
from optigram.papers.poerner2018.archives import folder_made_whole, unpack
from optigram.papers.poerner2018.data import Dataset
from optigram.papers.poerner2018.download import RECORD, fetch
from optigram.papers.poerner2018.layouts import KARPATHY_FILES, VENDROV_FILES, read_folder

# Endings of the paths of a data set in data.tgz, and their names in its folder.
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
    with folder_made_whole(place) as folder:
        unpack(archive, folder, CONTENTS[name], watch)
        found = read_folder(folder)
    return place, found
