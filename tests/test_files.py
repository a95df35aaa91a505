import dataclasses
import os
import resource
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
import torch
from safetensors.torch import save_file

from optigram.errors import InputError
from optigram.files import FolderCache, writable_folder, written_whole

WRITERS = {
    "text": lambda path: path.write_text("a" * 100_000),
    "safetensors": lambda path: save_file({"a": torch.ones(100_000)}, path),
    "parquet": lambda path: parquet.write_table(pa.table({"a": list(range(100_000))}), path),
}


@pytest.fixture
def small_files():
    """No file may be longer than 4 KB: a stand-in for a full disk, which fails in the same calls."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


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


@pytest.mark.parametrize("writer", WRITERS)
def test_a_full_disk_is_one_line_and_leaves_the_old_file(tmp_path, small_files, writer):
    (tmp_path / "out").write_text("old")
    with pytest.raises(InputError, match="make room"), written_whole(tmp_path / "out") as temporary:
        WRITERS[writer](temporary)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("out", "old")]


def test_an_error_of_another_file_is_no_error_of_this_one(tmp_path):
    with pytest.raises(PermissionError), written_whole(tmp_path / "out"):
        raise PermissionError(13, "Permission denied", "/elsewhere/model.bin")


def test_a_name_as_long_as_file_systems_allow_can_be_written(tmp_path):
    with written_whole(tmp_path / ("é" * 127)) as temporary:
        temporary.write_text("all")
    assert next(tmp_path.iterdir()).read_text() == "all"


WRITER = """
import sys, time
from pathlib import Path
from optigram.files import written_whole
with written_whole(Path(sys.argv[1]) / "out") as temporary:
    temporary.write_text("half of what is to be written")
    print("written", flush=True)
    time.sleep(60)
"""


def test_what_a_killed_process_left_is_overwritten_and_what_a_living_one_writes_is_not(tmp_path):
    with subprocess.Popen([sys.executable, "-c", WRITER, tmp_path], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        with written_whole(tmp_path / "out") as temporary:
            temporary.write_text("all")
        (left,) = set(tmp_path.iterdir()) - {tmp_path / "out"}
        assert left.read_text().startswith("half")
        process.kill()
    with written_whole(tmp_path / "out") as temporary, temporary.open("r+") as file:  # which does not truncate
        file.write("more")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("out", "more")]


def test_many_processes_may_write_one_file_at_once(tmp_path):
    def write(number):
        for _ in range(50):
            with written_whole(tmp_path / "out") as temporary:
                temporary.write_text(str(number) * 1000)
            assert len(set((tmp_path / "out").read_text())) == 1

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(8)))
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


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
