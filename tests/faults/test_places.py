"""Folders that were moved, may not be written, or have no room; corpora that are far larger than they look."""

import gzip
import json
import os
import shutil
from pathlib import Path

import pytest
from fault_cases import CASES, begin, filled, outcome

SMALL = 3000  # bytes that a file may have on the small disk
BY_NAME = {case.name: case for case in CASES}
WRITERS = ("scan", "study", "train", "export as csv", "evidence", "report", "find")


def said(folder: Path) -> str:
    """What a command said on standard error, which must be one line."""
    text = (folder / "log" / "err").read_text()
    assert text.count("\n") == 1, text
    return text


@pytest.mark.parametrize("name", WRITERS)
def test_a_full_disk_is_one_line_and_nothing_is_lost(zygote, inputs, expected, tmp_path, name):
    case, folder = BY_NAME[name], tmp_path / "work"
    begin(case, inputs, folder)
    before = outcome(folder / "out") if (folder / "out").exists() else {}
    answer = zygote(filled(case, inputs), folder, limit=SMALL)
    assert (answer["code"], "make room" in said(folder)) == (2, True)
    assert not [path for path in (folder / "out").rglob(".*") if path.is_file()]
    assert before.items() <= outcome(folder / "out").items()
    assert zygote(filled(case, inputs), folder)["code"] == 0
    assert outcome(folder / "out") == outcome(expected(case)[0] / "out")


@pytest.mark.parametrize("name", WRITERS)
def test_a_folder_that_may_not_be_written_is_one_line(zygote, inputs, tmp_path, name):
    case, folder = BY_NAME[name], tmp_path / "work"
    begin(case, inputs, folder)
    (folder / "out").mkdir(exist_ok=True)
    (folder / "out").chmod(0o555)
    answer = zygote(filled(case, inputs), folder, humble=True)
    assert (answer["code"], "cannot write" in said(folder)) == (2, True)
    (folder / "out").chmod(0o755)


def test_a_scan_that_was_moved_with_its_corpus_resumes(zygote, inputs, expected, tmp_path):
    before, after = tmp_path / "before", tmp_path / "after"
    before.mkdir()
    shutil.copy(inputs["corpus"], before)
    argv = filled(BY_NAME["scan"], inputs | {"corpus": str(before / "corpus.txt")})
    zygote(argv, before, signal=9, event=12)
    assert (before / "out" / "plan.json").exists()
    before.rename(after)
    assert zygote(["work", "out", "--device", "cpu", "--quiet"], after)["code"] == 0
    assert zygote(["merge", "out", "--device", "cpu", "--quiet"], after)["code"] == 0
    whole = expected(BY_NAME["scan"])[0]
    assert without_places(outcome(after / "out")) == without_places(outcome(whole / "out"))
    again = filled(BY_NAME["scan"], inputs | {"corpus": str(after / "corpus.txt")})
    assert zygote(again, after)["code"] == 0


def without_places(found: dict) -> dict:
    """An outcome without the paths of the corpus."""
    rows = [{name: value for name, value in row.items() if name != "source"} for row in json.loads(found["examples.parquet"])]
    return {name: value for name, value in found.items() if name.endswith(".parquet")} | {"examples.parquet": json.dumps(rows)}


def test_a_scan_without_its_corpus_says_what_to_give(zygote, inputs, tmp_path):
    folder = tmp_path / "work"
    folder.mkdir()
    shutil.copy(inputs["corpus"], folder)
    argv = filled(BY_NAME["scan"], inputs | {"corpus": str(folder / "corpus.txt")})
    zygote(argv, folder, signal=9, event=12)
    (folder / "corpus.txt").rename(tmp_path / "corpus.txt")
    assert zygote(["work", "out", "--device", "cpu", "--quiet"], folder)["code"] == 2
    assert "--corpus" in said(folder)
    assert zygote(filled(BY_NAME["scan"], inputs | {"corpus": str(tmp_path / "corpus.txt")}), folder)["code"] == 0


def test_a_study_that_was_moved_with_its_corpus_resumes_or_says_where_it_was(zygote, inputs, expected, tmp_path):
    before, after = tmp_path / "before", tmp_path / "after"
    before.mkdir()
    shutil.copy(inputs["corpus"], before)
    spec = Path(inputs["study"]).read_text().replace(inputs["corpus"], "corpus.txt")
    (before / "study.toml").write_text(spec)
    argv = ["study", "study.toml", "--out", "out", "--engine", "local", "--quiet"]
    zygote(argv, before, signal=9, event=12)
    before.rename(after)
    (after / "study.toml").write_text(spec.replace("corpus.txt", str(after / "corpus.txt")))
    assert zygote(argv, after)["code"] == 2
    assert "only moved" in said(after)
    (after / "study.toml").write_text(spec)
    assert zygote(argv, after)["code"] == 0
    assert zygote(["show", "out"], after)["code"] == 0


LONG = 50 if "OPTIGRAM_KILLS" in os.environ else 5  # megabytes of a line
BOMB, MORE = 100, 250 << 20  # megabytes of a document that is packed into little, and bytes of memory that are not much for either


@pytest.mark.parametrize("corpus", ["long.txt", "bomb.jsonl.gz"])
def test_a_long_line_and_a_bomb_take_little_memory(zygote, inputs, tmp_path, corpus):
    (tmp_path / "long.txt").write_text("a b c d e f g " * (LONG * 2**20 // 14))
    with gzip.open(tmp_path / "bomb.jsonl.gz", "wb", compresslevel=1) as file:
        file.write(b'{"text": "a b c d"}\n{"text": "')
        for _ in range(BOMB):
            file.write(b"a" * (1 << 20))
    plain = ["find", inputs["model"], "visual:dog", "--by", "crp", "--length", "3", "--device", "cpu", "--quiet", "--corpus"]
    base = zygote([*plain, inputs["corpus"]], tmp_path)["memory"]
    answer = zygote([*plain, corpus], tmp_path)
    if answer["code"] != 0:
        assert (answer["code"], corpus in said(tmp_path)) == (2, True)
    assert answer["memory"] < base + MORE
