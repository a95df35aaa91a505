"""Results survive killed and simultaneous runs, and a run measures only what is missing."""

import json
import multiprocessing
from pathlib import Path

import pytest
from benchmarks.case import Case, metrics, run_case
from benchmarks.results import Row
from benchmarks.setup import Result, Settings

from benchmarks import case, results


def row(**changes) -> Row:
    made = {"case": "a/b", "commit": "1234567", "machine": {}, "seed": 0, "settings": {"n": 1}, "metrics": {"x": 1.0}, "texts": []}
    return Row(**made | {"when": "2026-01-01"} | changes)


def write(path: Path, number: int) -> None:
    for count in range(20):
        results.append(path, [row(settings={"writer": number, "count": count}, texts=[{"text": "ü" * 2000}])])


def test_rows_are_read_as_they_were_written(tmp_path):
    rows = [row(), row(texts=[{"target": "visual:dog", "text": "a “b”", "activation": 1.5}])]
    results.append(tmp_path / "r.jsonl", rows[:1])
    results.append(tmp_path / "r.jsonl", rows[1:])
    assert results.read(tmp_path / "r.jsonl") == rows
    assert results.read(tmp_path / "missing.jsonl") == []


def test_a_torn_line_loses_nothing_else(tmp_path):
    path = tmp_path / "r.jsonl"
    results.append(path, [row()])
    with path.open("a") as file:
        file.write('{"case": "a/b", "commi')
    results.append(path, [row(seed=1)])
    assert results.read(path) == [row(), row(seed=1)]


def test_two_processes_write_at_once(tmp_path):
    path, context = tmp_path / "r.jsonl", multiprocessing.get_context("fork")
    writers = [context.Process(target=write, args=(path, number)) for number in range(2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert len(results.latest(results.read(path))) == 40


def test_of_equal_settings_the_last_row_counts():
    again = row(metrics={"x": 2.0}, commit="other")
    assert results.latest([row(), row(seed=1), again]) == [row(seed=1), again]


def test_a_run_goes_on_where_it_was_killed(tmp_path, monkeypatch):
    path, done = tmp_path / "r.jsonl", []
    monkeypatch.setattr(case.results, "commit", lambda: "1234567")

    def measured(context, unit, seed):
        if len(done) == 3:
            raise KeyboardInterrupt
        done.append((unit["n"], seed))
        return [Result({"x": unit["n"] + seed}, settings={"part": part}) for part in ("first", "second")]

    made = Case("a/b", "", lambda settings: None, measured, metrics("x: x .1f"), units=lambda settings: [{"n": 1}, {"n": 2}])
    settings = Settings(seeds=2)
    with pytest.raises(KeyboardInterrupt):
        list(run_case(made, settings, path))
    assert len(results.read(path)) == 6
    done.pop()
    assert [(new.settings["n"], new.seed) for new in run_case(made, settings, path)] == [(2, 1), (2, 1)]
    assert list(run_case(made, settings, path)) == []
    done.clear()
    assert len(list(run_case(made, Settings(seeds=1), path, again=True))) == 4


def test_a_result_names_no_folder_and_no_host(tmp_path):
    told = json.dumps([Settings(model=f"{tmp_path}/m", corpus=(f"{tmp_path}/c.txt",), options={"working": f"{tmp_path}/w"}).described()])
    assert str(tmp_path) not in told
    assert '"corpus": "c.txt"' in told
    assert set(results.machine()) == {"cores", "cpu", "torch"}
