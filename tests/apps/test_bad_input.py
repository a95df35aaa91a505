"""What people give by mistake, through the commands: one line and exit 2; and the last net for what nobody foresaw."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console
from tiny_models import network

import optigram as og
from optigram.apps import cli
from optigram.errors import InputError, one_line
from optigram.models.loading import save
from optigram.report.scan_tables import places_table
from optigram.report.tables import ngram_table
from optigram.runs.folder import RunFolder

DIGITS = "9" * 5000


@pytest.fixture(scope="module")
def folder(tiny, tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("model")
    save(tiny, path, {})
    return str(path)


BAD = {
    "a slot of many words": ("find", "visual:dog", "--template", f"a {{{DIGITS}}}"),
    "many words": ("find", "visual:dog", "--length", "99999999999"),
    "many texts": ("find", "visual:dog", "--top", "99999999999"),
    "a seed of thousands of digits": ("find", "visual:dog", "--seed", DIGITS),
    "a seed beyond the records": ("find", "visual:dog", "--seed", str(2**63)),
    "a price that float32 cannot hold": ("find", "visual:dog", "--fluency", "1e39"),
    "an endless sample": ("find", "visual:dog", "--corpus", f"sampled:{DIGITS}"),
    "a long name of a corpus": ("find", "visual:dog", "--corpus", "x" * 300),
    "a long name of a study": ("study", "x" * 300),
    "a context out of range": ("scan", "visual:dog", "--corpus", "CORPUS", "--context", "99999999999"),
    "many places": ("scan", "visual:dog", "--corpus", "CORPUS", "--top", "99999999999"),
    "half a character": ("score", "visual:dog", "--text", "a \ud800"),
    "a half name": ("score", 'language:"\\ud800"', "--text", "a"),
    "signs in an address": ("score", "visual:\x1b[31m\u202edog\nx", "--text", "a"),
    "signs in a text": ("score", "visual:dog", "--text", "zebra\x1b[31m\u202e"),
}


@pytest.mark.parametrize("words", BAD.values(), ids=BAD.keys())
def test_bad_input_is_one_line_that_a_terminal_shows_as_it_is(run, folder, tmp_path, words):
    (tmp_path / "corpus.txt").write_text("a b c\n")
    command, *rest = [str(tmp_path / "corpus.txt") if word == "CORPUS" else word for word in words]
    code, out, err = run(command, *([] if command == "study" else [folder]), *rest)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.rstrip("\n").isprintable()
    assert len(err) < 1100


@pytest.mark.parametrize("name", ["gpt2", "bert"])
def test_a_text_beyond_the_positions_of_a_model_is_refused(name):
    model = network(name)
    text = "two dogs play " * 600
    for call in (
        lambda: og.score(model, "mlp_act.1:0", text),
        lambda: og.explain(model, "mlp_act.1:0", text),
        lambda: og.score(model, "mlp_act.1:0", "a", template=text + "{}"),
        lambda: og.find(model, "mlp_act.1:0", by="random", budget=4, length=2000),
    ):
        with pytest.raises(
            InputError, match=r"cannot read \d+ tokens \(.*\); give a shorter text, a smaller --length or a shorter template"
        ):
            call()


def test_two_runs_do_not_write_into_one_folder(run, folder, tmp_path):
    words = ("find", folder, "visual:dog", "--by", "random", "--budget", "20", "--length", "2", "--quiet", "--out", tmp_path / "out")
    with RunFolder.new(tmp_path / "out"):
        code, _, err = run(*words)
        assert (code, err.count("\n")) == (2, 1)
        assert "another run is writing to" in err
    assert run(*words)[0] == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["manifest.json", "records.parquet"]
    assert "holds a run" in run(*words)[2]


def test_a_search_that_is_refused_leaves_no_folder(run, folder, tmp_path):
    code, _, err = run("find", folder, "visual:dgo", "--by", "random", "--quiet", "--out", tmp_path / "out")
    assert (code, err.count("\n")) == (2, 1)
    assert not (tmp_path / "out").exists()


def test_a_claim_ends_with_its_process(tmp_path):
    code = "import os, sys; from pathlib import Path; from optigram.runs.folder import RunFolder"
    code += "; claim = RunFolder.new(Path(sys.argv[1])); claim.__enter__(); os._exit(9)"
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    with RunFolder.new(tmp_path) as path:
        assert path == tmp_path


def test_the_unforeseen_is_one_line_and_exit_1_and_debug_shows_where(run, monkeypatch):
    def fail(**options):
        raise RuntimeError("first line\nsecond \u202e line")

    monkeypatch.setattr(cli, "app", fail)
    code, out, err = run("sites", "imaginet")
    assert (code, out) == (1, "")
    assert err == "optigram: unexpected RuntimeError: first line second ⟨U+202E⟩ line; run again with optigram --debug for the traceback\n"
    code, _, err = run("--debug", "sites", "imaginet")
    assert code == 1
    assert "Traceback" in err


def test_a_reader_that_has_enough_ends_a_command_quietly():
    command = f"{sys.executable} -m optigram sites imaginet --json | head -c 1"
    done = subprocess.run(["bash", "-c", command], check=False, capture_output=True, text=True)
    assert done.stdout == "{"
    assert done.stderr == ""


def shown(table, width: int = 200) -> str:
    console = Console(width=width, force_terminal=False)
    with console.capture() as capture:
        console.print(table)
    return capture.get()


def test_signs_that_turn_the_direction_are_shown_as_signs(tiny, tmp_path):
    signs = "\u202e\u200f\u2067\x1b"
    text = f"a {signs}b c"
    found = og.scan(tiny, "visual:dog", [text], skipped=0)
    for table in (places_table(found["visual:dog"]), repr(found)):
        said = table if isinstance(table, str) else shown(table)
        assert not set(signs) & set(said)
        assert "⟨U+202E⟩" in said
    record = og.score(tiny, "visual:dog", "a b")[0]
    changed = og.Record(**{**vars(record), "text": text, "whole": text, "free": [[0, len(text)]]})
    assert not set(signs) & set(shown(ngram_table([changed])))


def test_a_message_is_one_line():
    assert one_line("a\n b\t\u2028c\x1b[0m\u202ed") == "a b c⟨U+001B⟩[0m⟨U+202E⟩d"
    assert str(InputError("two\nlines")) == "two lines"


def test_a_column_that_was_chosen_is_said_by_find_and_scan(run, folder, tmp_path):
    path = tmp_path / "corpus.csv"
    path.write_text("text,caption\na b c,d e f\n")
    for words in (("find", "--by", "crp", "--length", "2"), ("scan",)):
        command, *rest = words
        code, _, err = run(command, folder, "visual:dog", "--corpus", path, *rest)
        assert code == 0
        assert "has the columns caption, text; caption is read, choose another with FILE::COLUMN" in " ".join(err.split())
        assert "columns" not in run(command, folder, "visual:dog", "--corpus", f"{path}::text", *rest)[2]


def test_a_scan_of_nothing_is_refused(run, folder, tmp_path):
    path = tmp_path / "corpus.jsonl"
    path.write_text('{"text": 3}\n{"text": null}\n')
    code, out, err = run("scan", folder, "visual:dog", "--corpus", path, "--skip-bad")
    assert (code, out) == (2, "")
    assert "no text that can be read; 1 rows or files were skipped, such as" in err
    Path(path).write_text('{"text": "zebra"}\n')
    code, out, err = run("scan", folder, "visual:dog", "--corpus", path)
    assert (code, out) == (2, "")
    assert "1 documents have no place that counts" in err


def test_json_never_holds_nan(run, folder, tmp_path):
    corpus = tmp_path / "corpus.txt"
    corpus.write_text("a b c\n" * 3)
    code, out, _ = run("scan", folder, "3e+38*language:a", "visual:dog", "--corpus", corpus, "--json", "--quiet")
    assert code == 0
    for line in out.splitlines():
        json.loads(line, parse_constant=lambda name: pytest.fail(f"{name} in JSON"))
