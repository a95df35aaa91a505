import tarfile

import numpy as np
import pytest

from optigram.errors import InputError
from optigram.papers.poerner2018.layouts import VENDROV_FILES
from optigram.papers.poerner2018.obtain import _folder_made_whole, _unpack
from papers.generated import pack, scenes, write_vendrov

PREFIX = "data/coco/vendrov/data/coco"
WANTED = {f"vendrov/data/coco/{name}": name for name in VENDROV_FILES}


@pytest.fixture
def folder(tmp_path):
    return write_vendrov(tmp_path / "source", scenes(12))


def files(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def member(name, kind=tarfile.REGTYPE, target=""):
    found = tarfile.TarInfo(name)
    found.type, found.linkname = kind, target
    return found


def test_what_is_wanted_is_unpacked_and_nothing_else(tmp_path, folder):
    harmless = member("data/latest", tarfile.SYMTYPE, "coco/dataset.words.json")
    archive = pack(tmp_path / "data.tgz", folder, PREFIX, [(harmless, b"")])
    seen = []
    with _folder_made_whole(tmp_path / "out" / "coco") as place:
        _unpack(archive, place, WANTED, lambda done, total, what: seen.append((done, total)))
    assert files(tmp_path / "out") == {f"coco/{name}": content for name, content in files(folder).items()}
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert seen[-1][1] == archive.stat().st_size


HOSTILE = {
    "parent": member("../evil"),
    "parent within": member("data/../../evil"),
    "parent that stays inside": member("data/../evil"),
    "absolute": member("/tmp/evil"),
    "symlink outside": member("data/link", tarfile.SYMTYPE, "../../outside"),
    "absolute symlink": member("data/link", tarfile.SYMTYPE, "/etc/passwd"),
    "hard link outside": member("data/link", tarfile.LNKTYPE, "../outside"),
    "absolute hard link": member("data/link", tarfile.LNKTYPE, "/etc/passwd"),
    "character device": member("data/zero", tarfile.CHRTYPE),
    "block device": member("data/disk", tarfile.BLKTYPE),
    "pipe": member("data/pipe", tarfile.FIFOTYPE),
}


@pytest.mark.parametrize("hostile", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_archive_is_one_line_and_leaves_nothing(tmp_path, folder, hostile):
    """The wanted files stand before the hostile member: they are gone too."""
    archive = pack(tmp_path / "data.tgz", folder, PREFIX, [(hostile, b"")])
    before = files(tmp_path)
    with pytest.raises(InputError, match="refused to unpack") as refused, _folder_made_whole(tmp_path / "out" / "coco") as place:
        _unpack(archive, place, WANTED)
    assert "\n" not in str(refused.value)
    assert files(tmp_path) == before
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE])
def test_a_wanted_file_must_be_a_plain_one(tmp_path, folder, kind):
    (folder / "val.txt").unlink()
    target = "test.txt" if kind == tarfile.SYMTYPE else f"{PREFIX}/test.txt"
    archive = pack(tmp_path / "data.tgz", folder, PREFIX, [(member(f"{PREFIX}/val.txt", kind, target), b"")])
    with pytest.raises(InputError, match="expected a plain file"):
        _unpack(archive, tmp_path / "out", WANTED)


def test_a_link_does_not_lead_a_wanted_file_astray(tmp_path, folder):
    """A link by which later members would leave the folder is never made: the places of wanted files are ours."""
    (tmp_path / "elsewhere").mkdir()
    with tarfile.open(tmp_path / "data.tgz", "w:gz") as tar:
        tar.addfile(member("data/inside", tarfile.DIRTYPE))
        tar.addfile(member("data/coco/vendrov", tarfile.SYMTYPE, "../inside"))
        for file in files(folder):
            tar.add(folder / file, f"{PREFIX}/{file}")
    _unpack(tmp_path / "data.tgz", tmp_path / "out", WANTED)
    assert files(tmp_path / "out") == files(folder)
    assert not list((tmp_path / "out").rglob("inside"))


def test_a_torn_archive_is_one_line_wherever_it_is_cut(tmp_path, folder):
    whole = pack(tmp_path / "data.tgz", folder, PREFIX).read_bytes()
    for length in [0, 1, 9, *np.linspace(10, len(whole) - 1, 40).astype(int).tolist(), len(whole) - 4]:
        (tmp_path / "cut.tgz").write_bytes(whole[:length])
        with pytest.raises(InputError, match=r"unpack|has no") as refused, _folder_made_whole(tmp_path / "out") as place:
            _unpack(tmp_path / "cut.tgz", place, WANTED)
        assert "\n" not in str(refused.value)
        assert not (tmp_path / "out").exists()


def test_a_changed_byte_is_noticed(tmp_path, folder):
    content = bytearray(pack(tmp_path / "data.tgz", folder, PREFIX).read_bytes())
    content[-8] ^= 1  # of the checksum itself
    (tmp_path / "data.tgz").write_bytes(content)
    with pytest.raises(InputError, match="CRC"):
        _unpack(tmp_path / "data.tgz", tmp_path / "out", WANTED)


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04"])
def test_what_is_no_archive_is_one_line(tmp_path, content):
    (tmp_path / "data.tgz").write_bytes(content)
    with pytest.raises(InputError, match=r"cannot unpack|has no"):
        _unpack(tmp_path / "data.tgz", tmp_path / "out", WANTED)


def test_an_archive_without_the_files_names_them(tmp_path, folder):
    (folder / "val.txt").unlink()
    archive = pack(tmp_path / "data.tgz", folder, PREFIX)
    with pytest.raises(InputError, match=r"has no vendrov/data/coco/val\.txt"):
        _unpack(archive, tmp_path / "out", WANTED)


def test_what_a_killed_run_left_does_not_count(tmp_path):
    (tmp_path / ".coco.unpacking").mkdir()
    (tmp_path / ".coco.unpacking" / "half").touch()
    with _folder_made_whole(tmp_path / "coco") as place:
        assert not (tmp_path / "coco").exists()
        (place / "whole").touch()
    assert [path.name for path in tmp_path.rglob("*")] == ["coco", "whole"]
