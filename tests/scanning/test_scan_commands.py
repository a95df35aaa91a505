"""The commands scan, work and merge: resumed, shared among processes, refused where input is bad."""

import json
from pathlib import Path

import pytest

from optigram.engine.launch import Place
from optigram.errors import InputError
from optigram.files import written_whole
from optigram.models.loading import save
from optigram.scanning.results import ScanTables


@pytest.fixture(scope="module")
def folder(tiny, tmp_path_factory):
    path = tmp_path_factory.mktemp("model")
    save(tiny, path, {})
    return str(path)


@pytest.fixture
def corpus(tmp_path):
    path = tmp_path / "corpus.txt"
    path.write_text("".join(f"{'abcdefg'[i % 7]} {'gfedcba'[i % 5]} {'abc'[i % 3]} d\n" for i in range(300)))
    return str(path)


def tops(out: str) -> list[dict]:
    return [json.loads(line) for line in out.splitlines()]


def test_scan_prints_a_table_with_the_real_text(run, folder, corpus):
    code, out, err = run("scan", folder, "visual:*", "-language:a", "--corpus", corpus)
    assert code == 0
    assert "visual:dog" in out
    assert "300 documents, 1,200 tokens" in err


def test_a_plan_is_worked_on_by_several_and_merged_at_any_time(run, folder, corpus, tmp_path):
    words = ("scan", folder, "visual:*", "language:*", "--corpus", corpus, "--json", "--quiet", "--top", 3)
    code, whole, _ = run(*words)
    assert code == 0
    out = tmp_path / "out"
    assert run(*words, "--out", out, "--shards", 5, "--plan")[0] == 0
    assert run("merge", out)[0] == 2  # nothing is done yet
    assert run("work", out, "--rank", 1, "--world", 2, "--quiet")[0] == 0
    code, _, err = run("merge", out)
    assert code == 0
    assert "Only 2 of 5 shards are in" in err
    before = {path: path.stat().st_mtime_ns for path in (out / "parts").iterdir()}
    code, parts, _ = run(*words, "--out", out, "--shards", 5)
    assert code == 0
    assert tops(parts) == tops(whole)
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in before.items())
    found = ScanTables.load(out)
    assert found["visual:dog"] == [row for row in tops(whole) if row["target"] == "visual:dog"]
    assert run(*words, "--out", out, "--shards", 5, "--fold", 2)[0] == 2  # another scan


WORLDS = [
    ({}, None),
    ({"RANK": "1", "WORLD_SIZE": "4"}, (1, 4)),
    ({"SLURM_PROCID": "3", "SLURM_NTASKS": "4"}, (3, 4)),
    ({"SLURM_ARRAY_TASK_ID": "7", "SLURM_ARRAY_TASK_MIN": "5", "SLURM_ARRAY_TASK_COUNT": "3"}, (2, 3)),
    ({"SLURM_ARRAY_TASK_ID": "4", "SLURM_ARRAY_TASK_MIN": "0", "SLURM_ARRAY_TASK_COUNT": "3", "SLURM_ARRAY_TASK_STEP": "2"}, (2, 3)),
    (
        {"SLURM_ARRAY_TASK_ID": "1", "SLURM_ARRAY_TASK_MIN": "0", "SLURM_ARRAY_TASK_COUNT": "2", "SLURM_PROCID": "1", "SLURM_NTASKS": "4"},
        (5, 8),
    ),
]


@pytest.mark.parametrize(("environment", "place"), WORLDS)
def test_the_place_in_the_world_is_read_from_what_started_the_process(environment, place):
    assert Place.launched(environment) == (place and Place(*place))


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"RANK": "4", "WORLD_SIZE": "4"}, "rank from 0 to 3"),
        ({"RANK": "one", "WORLD_SIZE": "4"}, "expected numbers in RANK"),
        ({"SLURM_ARRAY_TASK_ID": "7", "SLURM_ARRAY_TASK_MIN": "3", "SLURM_ARRAY_TASK_COUNT": "2"}, "array has gaps"),
    ],
)
def test_a_place_that_cannot_be_is_refused(environment, said):
    with pytest.raises(InputError, match=said):
        Place.launched(environment)


def test_each_process_of_a_machine_has_a_device_of_its_own():
    assert Place.device("cuda", 8, {"LOCAL_RANK": "3"}) == "cuda:3"
    assert Place.device("cuda", 1, {"SLURM_LOCALID": "3"}) == "cuda:0"  # where each sees its own alone
    assert Place.device("cuda", 8, {}) == "cuda"
    assert Place.device("cpu", 0, {"LOCAL_RANK": "3"}) == "cpu"


def test_processes_started_from_outside_take_their_share(folder, corpus, run, tmp_path, monkeypatch):
    out = tmp_path / "out"
    run("scan", folder, "visual:*", "--corpus", corpus, "--out", out, "--shards", 4, "--plan")
    for rank, names in ((0, ("RANK", "WORLD_SIZE")), (1, ("SLURM_PROCID", "SLURM_NTASKS"))):
        with monkeypatch.context() as started:
            for name, value in zip(names, (str(rank), "2"), strict=True):
                started.setenv(name, value)
            assert run("work", out, "--quiet")[0] == 0
        assert len(list((out / "parts").glob("*.parquet"))) == 2 * (rank + 1)


def test_the_last_of_several_processes_that_scan_merges(folder, corpus, run, tmp_path, monkeypatch):
    words = ("scan", folder, "visual:*", "--corpus", corpus, "--shards", 4, "--json")
    expected = tops(run(*words, "--quiet")[1])
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "0")
    code, _, said = run(*words)
    assert (code, said.count("\n")) == (2, 1)
    assert "one of 2 processes" in said
    monkeypatch.setenv("RANK", "1")
    code, out, said = run(*words, "--out", tmp_path / "out")
    assert (code, out) == (0, "")
    assert "process 1 of 2 has read its shards; 2 of 4 are missing" in said
    monkeypatch.setenv("RANK", "0")
    assert tops(run(*words, "--out", tmp_path / "out")[1]) == expected


def test_processes_find_the_same(run, folder, corpus, tmp_path):
    words = ("scan", folder, "visual:*", "--corpus", corpus, "--json", "--quiet", "--shards", 3)
    one, two = run(*words), run(*words, "--engine", "processes", "--workers", 1, "--tokenizers", 1, "--out", tmp_path / "out")
    assert one[0] == two[0] == 0
    assert tops(one[1]) == tops(two[1])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--question", "both"), "context or alone"),
        (("--context", "1"), "at least 2"),
        (("--engine", "spark"), "local, processes, ray"),
        (("--plan",), "--out"),
        (("--corpus", "nowhere.txt"), "no corpus file"),
        (("--corpus", "sampled:10"), "expected files"),
    ],
)
def test_bad_input_is_one_line(run, folder, corpus, words, said):
    code, _, err = run("scan", folder, "visual:*", "--corpus", corpus, *words)
    assert code == 2
    assert said in err
    assert err.count("\n") == 1


def test_pools_belong_to_ngrams_alone(run, folder, corpus):
    code, _, err = run("scan", folder, "visual:dog@mean", "--corpus", corpus)
    assert code == 2
    assert "leave the pool out" in err
    assert run("scan", folder, "visual:dog@mean", "--corpus", corpus, "--question", "alone", "--length", 3)[0] == 0


def test_a_corpus_that_changed_since_the_plan_is_refused(run, folder, corpus, tmp_path):
    out = tmp_path / "out"
    run("scan", folder, "visual:*", "--corpus", corpus, "--out", out, "--plan")
    with Path(corpus).open("a") as file:
        file.write("g g g\n")
    code, _, err = run("work", out)
    assert code == 2
    assert "is not what it was when the scan was planned" in err
    assert not list((out / "parts").glob("*"))


def test_a_full_disk_leaves_no_half_file(tmp_path):
    def full():
        with written_whole(tmp_path / "part.parquet") as path:
            path.write_bytes(b"half")
            raise OSError(28, "No space left on device")

    with pytest.raises(InputError, match="No space"):
        full()
    assert list(tmp_path.iterdir()) == []


def test_an_unwritable_folder_is_told_before_the_work(run, folder, corpus, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    code, _, err = run("scan", folder, "visual:*", "--corpus", corpus, "--out", blocked / "out")
    assert code == 2
    assert "cannot write to the folder" in err
