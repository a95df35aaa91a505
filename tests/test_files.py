import dataclasses
import os
from pathlib import Path

import pytest

from optigram.errors import InputError
from optigram.files import FolderCache, writable_folder, written_whole


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "out.txt"
    path.write_text("old")

    def fail():
        with written_whole(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_cannot_be_made_is_refused_before_the_work(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot write"):
        writable_folder(tmp_path / "file" / "below")


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("OPTIGRAM_CACHE", str(tmp_path))
    return FolderCache("things", 1000)


def fill(folder, size=400):
    (folder / "part").write_bytes(bytes(size))


def test_a_kept_folder_is_found_again_and_nothing_else_stays(cache, tmp_path):
    assert cache.find("one") is None
    kept = cache.keep("one", 400, fill)
    assert kept == cache.find("one") == tmp_path / "things" / "one"
    assert [file.name for file in kept.iterdir()] == ["part"]
    assert [folder.name for folder in cache.path.iterdir()] == ["one"]


def test_the_folder_used_least_recently_makes_room(cache):
    for age, key in enumerate(("one", "two")):
        cache.keep(key, 400, fill)
        os.utime(cache.path / key, (age, age))
    cache.find("one")
    cache.keep("three", 400, fill)
    assert sorted(folder.name for folder in cache.path.iterdir()) == ["one", "three"]


def test_what_is_too_large_or_fails_is_not_kept(cache, tmp_path):
    assert cache.keep("large", 1001, fill) is None

    def fail(folder):
        fill(folder)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cache.keep("broken", 400, fail)
    assert list(tmp_path.rglob("*")) == [cache.path]
    (tmp_path / "file").touch()
    assert dataclasses.replace(cache, kind="file").keep("one", 400, fill) is None


def test_of_two_processes_that_write_a_folder_the_first_one_is_kept(cache):
    def fill_late(folder):
        cache.keep("one", 400, fill)
        fill(folder, 500)

    kept = cache.keep("one", 500, fill_late)
    assert (kept / "part").stat().st_size == 400
    assert [folder.name for folder in cache.path.iterdir()] == ["one"]


def test_what_a_killed_process_left_is_removed_a_day_later(cache):
    left, fresh = cache.path / ".one.abc.tmp", cache.path / ".one.def.tmp"
    for folder in left, fresh:
        folder.mkdir(parents=True)
    os.utime(left, (0, 0))
    cache.keep("two", 400, fill)
    assert sorted(folder.name for folder in cache.path.iterdir()) == [".one.def.tmp", "two"]


def test_the_cache_is_where_such_things_are_kept(monkeypatch, tmp_path):
    monkeypatch.delenv("OPTIGRAM_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert FolderCache.base() == tmp_path / "optigram"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert FolderCache.base() == Path.home() / ".cache" / "optigram"
