import contextlib
import copy
import functools
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch

from optigram.models.loading import load, save
from optigram.runs.records import RecordFile


@pytest.fixture(scope="module")
def folder(tiny, tmp_path_factory):
    path = tmp_path_factory.mktemp("model")
    save(tiny, path, {})
    return str(path)


@pytest.fixture
def corpus(tmp_path):
    path = tmp_path / "corpus.txt"
    path.write_text("a b c d\nG f e, d c b a\nb b zebra b\n")
    return str(path)


def test_find_prints_a_table_with_the_ratio_to_corpus_search(run, folder, corpus):
    code, out, err = run("find", folder, "visual:dog", "-language:a", "--by", "crp,gbl", "--length", 3, "--corpus", corpus, "--budget", 300)
    assert code == 0
    assert corpus in err
    assert "visual:dog" in out
    assert "-language:a" in out
    assert "/ crp" in out


@pytest.mark.parametrize(("given", "found"), [(None, "PASSIVE"), ("ACTIVE", "ACTIVE")])
def test_threads_wait_without_spinning_unless_told_otherwise(given, found, run, monkeypatch):
    monkeypatch.setenv("OMP_WAIT_POLICY", given or "")
    if given is None:
        monkeypatch.delenv("OMP_WAIT_POLICY")
    run("--version")
    assert os.environ["OMP_WAIT_POLICY"] == found


def test_a_range_of_lengths_shows_each_and_marks_the_shortest_near_the_best(run, folder, corpus):
    code, out, _ = run("find", folder, "visual:dog", "--by", "random", "--length", "1-3", "--corpus", corpus, "--budget", 60, "--quiet")
    assert code == 0
    assert out.count("shortest within 1%") == 1
    assert len(out.splitlines()) == 1 + 3


def test_find_writes_records_that_score_repeats_in_a_new_process(run, folder, corpus, tmp_path):
    out_folder = tmp_path / "run"
    common = (
        "--by",
        "crp,gbl",
        "--length",
        3,
        "--corpus",
        corpus,
        "--budget",
        300,
        "--top",
        2,
        "--template",
        "a {} b",
        "--json",
        "--quiet",
    )
    code, out, err = run("find", folder, "language:3-5", "visual:dog@max", *common, "--out", out_folder)
    assert (code, err) == (0, "")
    records = [json.loads(line) for line in out.splitlines()]
    assert {record["method"] for record in records} == {"crp", "gbl"}
    assert {record["rank"] for record in records} == {1, 2}
    assert all(record["survives"] is True for record in records)
    record = records[5]
    words = ("score", folder, record["target"], "--text", record["text"], "--template", "a {} b", "--json")
    done = subprocess.run([sys.executable, "-m", "optigram", *words], capture_output=True, text=True, check=True)
    (scored,) = map(json.loads, done.stdout.splitlines())
    assert scored["activation"] == pytest.approx(record["activation"], abs=1e-5)
    assert scored["ids"] == record["ids"]
    assert [json.loads(record.to_json()) for record in RecordFile.read(out_folder / "records.parquet")] == records
    manifest = json.loads((out_folder / "manifest.json").read_text())
    assert manifest["settings"]["seed"] == 0
    assert len(manifest["fingerprints"]["model"]) == 64
    assert run("find", folder, "visual:dog", "--corpus", corpus, "--length", 3, "--out", out_folder)[0] == 2  # it holds a run


def test_the_same_command_gives_the_same_bits(run, folder):
    words = ("find", folder, "language:*", "--by", "gbl,emb,smx,logit", "--length", 2, "--budget", 200, "--seed", 5, "--json", "--quiet")
    records = [[json.loads(line) | {"seconds": 0} for line in run(*words)[1].splitlines()] for _ in range(2)]
    assert records[0] == records[1]
    assert len(records[0]) == 40


def test_sampled_corpora_are_named_as_such(run, folder):
    code, _, err = run("find", folder, "visual:dog", "--by", "crp", "--length", 2, "--corpus", "sampled:50")
    assert code == 0
    assert "50 texts sampled from the model" in err


def test_sites_lists_addresses_that_work(run, folder):
    code, out, _ = run("sites", folder, "--json")
    assert code == 0
    for line in out.splitlines():
        site = json.loads(line)
        assert run("score", folder, site["address"], "--text", "a b")[0] == 0
    assert "traffic light" in run("sites", folder)[1]


def test_train_command(run, tmp_path):
    rng = np.random.default_rng(0)
    path = tmp_path / "captions.txt"
    path.write_text("\n".join(" ".join(rng.choice(["red", "big", "dog", "cat", "runs"], 4)) for _ in range(200)))
    words = (
        "train",
        "imaginet",
        "--captions",
        path,
        "--embedding",
        8,
        "--hidden",
        8,
        "--epochs",
        1,
        "--half",
        "--out",
        tmp_path / "m",
        "--json",
    )
    code, out, _ = run(*words)
    assert code == 0
    assert json.loads(out)["epoch"] == 1
    assert load(str(tmp_path / "m")).sizes.hidden == 8


def test_nan_activations_are_reported_and_never_kept(run, tiny, tmp_path, corpus):
    broken = copy.deepcopy(tiny)
    broken.embedding[3] = torch.nan
    save(broken, tmp_path / "broken", {})
    code, out, err = run(
        "find", tmp_path / "broken", "visual:dog", "--by", "crp,smx", "--length", 2, "--corpus", corpus, "--budget", 100, "--json"
    )
    assert code == 0
    assert "crp: 2 scores were NaN" in err
    assert all(np.isfinite(json.loads(line)["activation"]) for line in out.splitlines())


BAD = {
    "unknown site": (("language.hiden:3",), "did you mean language.hidden"),
    "unknown word": (("visual:dogg",), "did you mean dog"),
    "index out of range": (("visual:99",), "out of range"),
    "malformed address": (("dog",), "malformed"),
    "missing corpus": (("visual:dog", "--corpus", "nowhere.txt"), "no corpus file"),
    "empty corpus": (("visual:dog", "--corpus", "EMPTY"), "is empty"),
    "binary corpus": (("visual:dog", "--corpus", "BINARY"), "binary"),
    "short captions": (("visual:dog", "--corpus", "CORPUS", "--length", "40"), "smaller --length"),
    "length 0": (("visual:dog", "--corpus", "CORPUS", "--length", "0"), "--length: expected at least 1, got '0'"),
    "length 5-3": (("visual:dog", "--corpus", "CORPUS", "--length", "5-3"), "--length: expected a range from short to long"),
    "budget 0": (("visual:dog", "--corpus", "CORPUS", "--budget", "0"), "more than 0"),
    "top 0": (("visual:dog", "--corpus", "CORPUS", "--top", "0"), "--top: expected at least 1, got 0"),
    "unwritable folder": (("visual:dog", "--corpus", "CORPUS", "--out", "CORPUS/below"), "cannot write"),
    "unknown method": (("visual:dog", "--by", "gumbel"), "unknown method"),
    "unknown option": (("visual:dog", "--lenght", "3"), "no such option: --lenght"),
    "unknown device": (("visual:dog", "--device", "toaster"), "toaster"),
    "no target": ((), "targets"),
    "template": (("visual:dog", "--template", "a b"), "template"),
}


@pytest.mark.parametrize(("words", "said"), BAD.values(), ids=BAD.keys())
def test_bad_input_is_one_line_and_exit_2(run, folder, corpus, tmp_path, words, said):
    (tmp_path / "empty.txt").touch()
    (tmp_path / "binary.txt").write_bytes(b"\0\1\2")
    places = {"EMPTY": str(tmp_path / "empty.txt"), "BINARY": str(tmp_path / "binary.txt")}
    code, out, err = run("find", folder, *(places.get(word, word.replace("CORPUS", corpus)) for word in words), "--quiet")
    assert (code, out) == (2, "")
    assert said in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("command", ["score", "sites"])
def test_an_unknown_model_is_one_line_and_exit_2(run, command):
    words = () if command == "sites" else ("visual:dog", "--text", "a")
    code, _, err = run(command, "no-such-model", *words)
    assert (code, err.count("\n")) == (2, 1)
    assert "did you mean" not in err


def test_a_model_whose_name_is_nearly_that_of_the_bundled_one(run, tmp_path):
    (tmp_path / "imaginette").mkdir()
    assert run("sites", "imaginett")[2].endswith("did you mean imaginet?\n")
    assert "did you mean" not in run("sites", tmp_path / "imaginette")[2]


@pytest.mark.parametrize("text", ["", "zebra"])
def test_score_refuses_texts_it_cannot_read(run, folder, text):
    assert run("score", folder, "visual:dog", "--text", text)[0] == 2


def test_ctrl_c_exits_with_130_and_keeps_what_was_found(folder, tmp_path):
    """A real process, a real signal, in the middle of a search that would take very long.

    The first step of an optimizer imports much of torch, where an interrupt might be lost: so the signal comes late, and
    again if it must, as from an impatient user.
    """
    for patience in (6, 30, 120):  # seconds; a busy machine may need more until the first text is found
        out = tmp_path / f"run{patience}"
        code, lines = interrupted(folder, out, patience)
        assert code == 130
        kept = RecordFile.read(out / "records.parquet")
        assert lines == len(kept)
        if kept:
            return
    pytest.fail("no text was found before the signal")


def interrupted(folder, out, patience: float) -> tuple[int, int]:
    """Exit code and lines of a `find` that gets a SIGINT some seconds after it has begun."""
    words = ("find", folder, "visual:*", "--by", "gbl:faithful", "--length", "2", "--json", "--quiet", "--out", str(out))
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    heard = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # a shell lets its background jobs ignore it
    command = [sys.executable, "-m", "optigram", *words]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, preexec_fn=heard)
    deadline = time.monotonic() + 60
    while not out.exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    time.sleep(patience)
    for _ in range(3):
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=20)
            break
    printed, _ = process.communicate(timeout=10)
    return process.returncode, len(printed.splitlines())


def test_help_needs_no_torch():
    code = "import sys; from optigram.apps.cli import app; app(['--help'], standalone_mode=False); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_version_and_no_command(run):
    assert run("--version")[1].startswith("optigram ")
    assert run("--bogus")[0] == 2


def test_top_level_names_are_not_hidden_by_modules():
    code = (
        "import optigram, optigram.runs.find; [getattr(optigram, name) for name in optigram.__all__ * 2]; assert callable(optigram.search)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
