"""Downloads that go on where they broke off, compared with the size and checksum that Zenodo states (paper, section 3).

Needs the optional packages of `optigram[data]`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from optigram.errors import InputError

PAGE = "https://zenodo.org/records/804392"
RECORD = "https://zenodo.org/api/records/804392"
ARCHIVE = "data.tgz"
OTHERWISE = f"get {ARCHIVE} from {PAGE} by other means and give it with --archive"
CHUNK = 1 << 16  # bytes; what a broken connection may lose
PATIENCE = 30  # seconds without an answer


@dataclass(frozen=True)
class Remote:
    """A file that can be downloaded: `size` in bytes, `checksum` as "md5:hexadecimal"."""

    name: str
    url: str
    size: int
    checksum: str


def look_up(record: str = RECORD, name: str = ARCHIVE) -> Remote:
    """What Zenodo's API says of a file of a record. Raises InputError where there is no network or no such file."""
    _import_pooch()
    import requests

    try:
        response = requests.get(record, timeout=PATIENCE)
        response.raise_for_status()
        found = {file["key"]: file for file in response.json()["files"]}
        return Remote(name, found[name]["links"]["self"], int(found[name]["size"]), found[name]["checksum"])
    except requests.ConnectionError as error:
        raise InputError(f"cannot reach {record}; with a network run this again, or {OTHERWISE}") from error
    except (requests.RequestException, ValueError, KeyError, TypeError) as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"expected {record} to describe {name}, got {type(error).__name__}: {reason}; try later, or {OTHERWISE}"
        ) from error


def download(remote: Remote, folder: Path, watch: Callable[[int, int, str], None] = lambda done, total, what: None) -> Path:
    """The file in `folder`, downloaded unless it is there already; what an earlier attempt got is kept and gone on from.

    `watch` hears the bytes got of how many. Raises InputError for a lost connection, and for another checksum.
    """
    pooch = _import_pooch()
    pooch.get_logger().setLevel("WARNING")  # progress is told by `watch`
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
        raise InputError(f"{remote.name} is not what {remote.checksum} stands for, and was removed; download it again") from error


def _fill(remote: Remote, partial: Path, watch: Callable[[int, int, str], None]) -> None:
    """Append to `partial` until it is whole, as long as every attempt brings something."""
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
                "run the same command again, it goes on from there"
            )


def _append(remote: Remote, partial: Path, have: int, watch: Callable[[int, int, str], None]) -> None:
    import requests

    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    with requests.get(remote.url, headers=headers, stream=True, timeout=PATIENCE) as response:
        response.raise_for_status()
        # a server that knows no ranges answers with the whole file
        with partial.open("ab" if response.status_code == requests.codes.partial else "wb") as file:
            for chunk in response.iter_content(CHUNK):
                file.write(chunk)
                watch(file.tell(), remote.size, remote.name)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _import_pooch() -> ModuleType:
    """The library that keeps downloads, or an InputError that says how to get it."""
    try:
        import pooch
    except ImportError as error:
        raise InputError(f"downloads need the package pooch; pip install 'optigram[data]', or {OTHERWISE}") from error
    return pooch
