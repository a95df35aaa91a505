"""Download the paper's data from Zenodo (paper, section 3): resume interrupted downloads, verify size and checksum.

pooch keeps and verifies the file; it cannot resume, so a downloader of our own appends to the part that is there. Needs the
packages of `optigram[data]`.
"""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from optigram.errors import InputError

PAGE = "https://zenodo.org/records/804392"
RECORD = "https://zenodo.org/api/records/804392"
ARCHIVE = "data.tgz"
OTHERWISE = f"get {ARCHIVE} from {PAGE} by other means and give it with --archive"
CHUNK = 1 << 16  # bytes: the most that a broken connection loses
PATIENCE = 30  # seconds without a response


@dataclass(frozen=True)
class _Remote:
    """A file that can be downloaded: `size` in bytes, `checksum` as "md5:hexadecimal"."""

    name: str
    url: str
    size: int
    checksum: str


def _look_up(record: str = RECORD, name: str = ARCHIVE) -> _Remote:
    """Ask Zenodo's API for a file of a record. Raises InputError without a network, or if there is no such file."""
    _import_pooch()
    import requests

    try:
        response = requests.get(record, timeout=PATIENCE)
        response.raise_for_status()
        found = {file["key"]: file for file in response.json()["files"]}
        return _Remote(name, found[name]["links"]["self"], int(found[name]["size"]), found[name]["checksum"])
    except requests.ConnectionError as error:
        raise InputError(f"cannot reach {record}; with a network run this again, or {OTHERWISE}") from error
    except (requests.RequestException, ValueError, KeyError, TypeError) as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"expected {record} to describe {name}, got {type(error).__name__}: {reason}; try later, or {OTHERWISE}"
        ) from error


def fetch(
    folder: Path,
    record: str = RECORD,
    tell: Callable[[str], None] = lambda text: None,
    watch: Callable[[int, int, str], None] = lambda done, total, what: None,
) -> Path:
    """Download the archive of a Zenodo record to `folder`, or resume; returns its path.

    `tell` is called with what is downloaded, `watch(done, total, name)` with the bytes received. Raises InputError without a network,
    for a lost connection, a full disk, or a wrong checksum.
    """
    remote = _look_up(record)
    tell(f"downloading {remote.name} of {PAGE}, {remote.size / 1e9:.2f} GB, to {folder / remote.name}")
    _check_room(remote, folder)
    return _download(remote, folder, watch)


def _check_room(remote: _Remote, folder: Path) -> None:
    left = remote.size - max(_size(folder / remote.name), _size(folder / f"{remote.name}.part"))
    if left > (free := shutil.disk_usage(folder).free):
        raise InputError(f"{remote.name} needs {left:,} more bytes, and {free:,} are free in {folder}; make room, or name another --out")


def _download(remote: _Remote, folder: Path, watch: Callable[[int, int, str], None] = lambda done, total, what: None) -> Path:
    """The file in `folder`, downloaded unless it is there; a partial download is resumed.

    `watch(done, total, name)` is called with the bytes received. Raises InputError for a lost connection or a wrong checksum.
    """
    pooch = _import_pooch()
    pooch.get_logger().setLevel("WARNING")  # `watch` shows the progress
    partial = folder / f"{remote.name}.part"

    def fetch(url: str, output: str, manager: object) -> None:
        _fill(remote, partial, watch)
        partial.replace(output)

    if not (folder / remote.name).exists():
        _fill(remote, partial, watch)  # before pooch makes its temporary file, which a killed run would leave
    try:
        return Path(pooch.retrieve(remote.url, remote.checksum, fname=remote.name, path=folder, downloader=fetch))
    except ValueError as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"expected {remote.name} with the checksum {remote.checksum}, got another one, and removed it; download it again"
        ) from error


def _fill(remote: _Remote, partial: Path, watch: Callable[[int, int, str], None]) -> None:
    """Append to `partial` until it is complete, as long as every attempt receives something."""
    import requests

    while (have := _size(partial)) < remote.size:
        reason = "it ended early"
        try:
            _append(remote, partial, have, watch)
        except requests.HTTPError as error:
            reason = str(error).split(" for url")[0]
        except OSError as error:  # of the network or of the disk
            reason = type(error).__name__
        if _size(partial) <= have:
            raise InputError(
                f"the download of {remote.name} broke off at {have:,} of {remote.size:,} bytes ({reason}); "
                "run the same command again to resume"
            )


def _append(remote: _Remote, partial: Path, have: int, watch: Callable[[int, int, str], None]) -> None:
    import requests

    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    with requests.get(remote.url, headers=headers, stream=True, timeout=PATIENCE) as response:
        response.raise_for_status()
        # a server without support for ranges sends the whole file
        with partial.open("ab" if response.status_code == requests.codes.partial else "wb") as file:
            for chunk in response.iter_content(CHUNK):
                file.write(chunk)
                watch(file.tell(), remote.size, remote.name)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _import_pooch() -> ModuleType:
    """pooch, or an InputError that says how to install it."""
    try:
        import pooch
    except ImportError as error:
        raise InputError(f"downloads need the package pooch; pip install 'optigram[data]', or {OTHERWISE}") from error
    return pooch
