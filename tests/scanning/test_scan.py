"""`scan` from Python: whatever may be a model, targets and a corpus; results shown, saved and read; an interrupt; bad input."""

import json
import re
from pathlib import Path

import jaxtyping
import pandas
import polars
import pytest
import torch

from optigram.api import scan
from optigram.errors import InputError
from optigram.models.loading import save
from optigram.report.scan_results import ScanResults
from optigram.scanning.plan import Plan, ScanSettings
from optigram.scanning.results import FORMAT
from optigram.scanning.state import State
from optigram.scanning.worker import Worker
from optigram.targets.target import resolve

TEXTS = [f"{'abcdefg'[i % 7]} {'gfedcba'[i % 5]} {'abc'[i % 3]} d" for i in range(60)]


@pytest.fixture
def corpus(tmp_path) -> Path:
    path = tmp_path / "corpus.txt"
    path.write_text("".join(f"{text}\n" for text in TEXTS))
    return path


def tops(found: ScanResults) -> list[list[tuple]]:
    return [[(row["text"], row["activation"], row["position"]) for row in found[target]] for target in found]


@pytest.mark.parametrize("question", ["context", "alone"])
def test_any_corpus_gives_the_same_places(tiny, corpus, question):
    expected = tops(scan(tiny, "visual:*", corpus, question=question, length=3))
    assert all(expected)
    for given in (str(corpus), TEXTS, (text for text in TEXTS), [{"text": text} for text in TEXTS], pandas.Series(TEXTS)):
        assert tops(scan(tiny, "visual:*", given, question=question, length=3, shards=3)) == expected


def test_a_corpus_may_be_sampled_from_the_model(tiny):
    found = scan(tiny, "visual:dog", "sampled:20", question="alone", length=2)
    assert found.about["documents"] == 20
    assert tops(found) == tops(
        scan(tiny, "visual:dog", list(tiny.sample(20, torch.Generator().manual_seed(0))), question="alone", length=2)
    )


def test_a_report_and_a_table_for_a_notebook(tiny, tmp_path):
    found = scan(tiny, "visual:*", [*TEXTS, "<b> & a"], question="alone", length=2)
    found.report(tmp_path / "page.html", only="visual:d*")
    page = (tmp_path / "page.html").read_text()
    assert "visual:dog" in page
    assert "visual:cat" not in page
    with pytest.raises(InputError, match="no target of the scan fits"):
        found.report(tmp_path / "page.html", only="language:*")
    table = found._repr_html_()
    assert table.count("<tr>") == 1 + len(found)
    assert "visual:traffic light" in table


def test_targets_are_addresses_and_targets_of_any_number(tiny):
    one, two = resolve(["visual:dog", "visual:cat"], tiny)
    expected = scan(tiny, ["visual:dog", "visual:cat"], TEXTS)
    for given in ([one, two], ["visual:dog", two], (target for target in (one, "visual:cat", one))):
        assert tops(scan(tiny, given, TEXTS)) == tops(expected)
    assert tops(scan(tiny, one, TEXTS)) == tops(scan(tiny, "visual:dog", TEXTS)) == tops(expected)[:1]
    assert expected.of(one) == expected["visual:dog"] == expected[0]


def test_a_worker_of_this_process_need_not_resolve_the_names_of_its_targets(tiny):
    plan = Plan("tiny", "saved", "", ("not an address!",), ScanSettings(), (), (), False, {})
    assert Worker(plan, tiny, targets=resolve(["visual:dog"], tiny)).targets == resolve(["visual:dog"], tiny)
    with pytest.raises(InputError):
        Worker(plan, tiny)


def test_results_read_like_a_mapping_and_turn_into_tables(tiny, capsys):
    found = scan(tiny, ["visual:*", "language:a"], TEXTS, top=4)
    assert len(found) == 4
    assert list(found) == ["visual:cat", "visual:dog", "visual:traffic light", "language:a"]
    assert "visual:dog" in found
    assert "visual:bird" not in found
    assert [row["target"] for row in found.best] == list(found)
    assert [row["activation"] for row in found.best] == [found[target][0]["activation"] for target in found]
    assert found.of("visual:dog", "bottom")[0]["activation"] < found["visual:dog"][-1]["activation"]
    assert found.to_arrow() is found.examples
    assert isinstance(found.to_pandas(), pandas.DataFrame)
    assert isinstance(found.to_polars(), polars.DataFrame)
    assert len(found.to_pandas()) == found.examples.num_rows
    best = max(found.best, key=lambda row: row["activation"])
    assert repr(found).startswith("ScanResults(4 targets in 60 documents, 240 tokens; highest: ")
    assert best["target"] in repr(found)
    found.show()
    shown = capsys.readouterr().out
    assert all(target.split()[0] in shown for target in found)
    assert "[" in shown
    with pytest.raises(InputError, match="visual:dof was not scanned; did you mean visual:dog"):
        found["visual:dof"]


def test_results_are_saved_and_read_again(tiny, tmp_path):
    found = scan(tiny, "visual:*", TEXTS)
    found.save(tmp_path / "saved")
    again = ScanResults.load(tmp_path / "saved")
    assert (again.about, again.examples, again.targets) == (found.about, found.examples, found.targets)
    with pytest.raises(InputError, match="already holds a scan"):
        found.save(tmp_path / "saved")


def test_texts_in_memory_are_kept_in_the_folder_of_the_scan(tiny, tmp_path, run):
    save(tiny, tmp_path / "model", {})
    found = scan(str(tmp_path / "model"), "visual:*", iter(TEXTS), out=tmp_path / "scan", shards=3)
    (path,) = (tmp_path / "scan").glob("texts-*.jsonl")
    assert [json.loads(line)["text"] for line in path.read_text().splitlines()] == TEXTS
    for part in (tmp_path / "scan" / "parts").iterdir():
        part.unlink()
    assert run("work", tmp_path / "scan", "--quiet")[0] == 0
    assert run("merge", tmp_path / "scan", "--quiet")[0] == 0
    assert tops(ScanResults.load(tmp_path / "scan")) == tops(found)
    with pytest.raises(InputError, match="holds another scan"):
        scan(str(tmp_path / "model"), "visual:*", TEXTS[1:], out=tmp_path / "scan", shards=3)


def test_the_place_of_a_row_is_its_number(tiny, tmp_path):
    path = tmp_path / "corpus.csv"
    path.write_text("label,text\n" + "".join(f'1,"{text}"\n' for text in TEXTS))
    found = scan(tiny, "visual:dog", f"{path}::text")
    assert all(row["text"] in TEXTS[row["place"]] for row in found.examples.to_pylist())
    assert found["visual:dog"][0]["source"] == str(path)


def test_an_interrupt_keeps_the_shards_that_are_done(tiny, corpus, tmp_path, monkeypatch):
    out, read, seen = tmp_path / "scan", Worker.read, []

    def interrupted(self, shard, watch):
        seen.append(shard)
        if shard == 2:
            raise KeyboardInterrupt
        return read(self, shard, watch)

    monkeypatch.setattr(Worker, "read", interrupted)
    with pytest.raises(KeyboardInterrupt):
        scan(tiny, "visual:*", corpus, out=out, shards=4)
    assert len(list((out / "parts").iterdir())) == 2
    monkeypatch.setattr(Worker, "read", lambda self, shard, watch: seen.append(shard) or read(self, shard, watch))
    found = scan(tiny, "visual:*", corpus, out=out, shards=4)
    assert seen == [0, 1, 2, 2, 3]
    assert tops(found) == tops(scan(tiny, "visual:*", corpus))


def test_the_share_of_a_shard_that_was_read_grows_to_its_end(tiny, corpus, tmp_path):
    shares = []
    scan(tiny, "visual:*", corpus, out=tmp_path / "scan")
    Worker(Plan.read(tmp_path / "scan"), tiny, batch=4).read(0, shares.append)
    assert len(shares) > 10
    assert shares == sorted(shares)
    assert 0 <= shares[0] <= shares[-1] <= 1
    assert shares[-1] > 0.9


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"targets": 5}, "expected addresses or targets, such as 'mlp_act.5:137', got int"),
        ({"targets": [5]}, "expected addresses or targets, such as 'mlp_act.5:137', got int"),
        ({"targets": []}, "no target was given"),
        ({"corpus": 5}, "expected a path, texts, Paths or a data set as corpus, got int"),
        ({"corpus": None}, r"expected a corpus; give --corpus FILE \(corpus= in Python\)"),
        ({"corpus": []}, "the corpus '0 texts' is empty"),
        ({"corpus": [" "]}, "the corpus '1 texts' is empty"),
        ({"corpus": "sampled:0"}, "expected sampled:N with N from 1 to"),
        ({"corpus": "nowhere.txt"}, "no corpus file 'nowhere.txt'"),
        ({"column": "b"}, "has no column 'b', it has text"),
        ({"question": "both"}, "expected the question context or alone, got 'both'"),
        ({"length": "five"}, "expected length of at least 1, a whole number, got 'five'"),
        ({"length": 2.5}, "expected length of at least 1, a whole number, got 2.5"),
        ({"top": True}, "expected top of at least 1, a whole number, got True"),
        ({"context": 1}, "expected context of at least 2"),
        ({"special": 1}, "expected special to be True or False, got 1"),
        ({"shards": 0}, "expected at least 1 shard"),
        ({"shards": "2"}, "expected at least 1 shard"),
        ({"out": 5}, "expected a folder as out, got int"),
    ],
    ids=str,
)
def test_wrong_types_and_values_are_one_line(tiny, given, said, monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # which checks types by itself, in tests alone
    with pytest.raises(InputError, match=said) as error:
        scan(**{"model": tiny, "targets": "visual:*", "corpus": [{"text": "a b"}]} | given)
    assert "\n" not in str(error.value)


def test_an_empty_file_is_refused_alike_by_scan_and_find(tiny, run, tmp_path):
    save(tiny, tmp_path / "model", {})
    (tmp_path / "empty.txt").write_text("\n  \n")
    for command in (("scan",), ("find", "--by", "crp")):
        code, _, err = run(command[0], tmp_path / "model", "visual:*", "--corpus", tmp_path / "empty.txt", *command[1:])
        assert (code, err.splitlines()[-1]) == (2, f"optigram: the corpus {str(tmp_path / 'empty.txt')!r} is empty; give at least one text")


def test_scans_of_other_versions_are_refused_in_one_line(tiny, corpus, tmp_path):
    out = tmp_path / "scan"
    scan(tiny, "visual:*", corpus, out=out)
    for name in ("plan.json", "manifest.json"):
        text = (out / name).read_text()
        assert FORMAT in text
        (out / name).write_text(re.sub(r'"optigram": "[^"]*"', '"optigram": "0.0.7"', text.replace(FORMAT, "optigram-scan-1")))
    said = f"the scan in .* was made by optigram 0.0.7 \\(optigram-scan-1\\), this version reads {FORMAT}; scan again into a new folder"
    for read in (Plan.read, ScanResults.load, Worker.start):
        with pytest.raises(InputError, match=said) as error:
            read(out)
        assert "\n" not in str(error.value)
    part = next((out / "parts").iterdir())
    part.write_bytes(b"PAR1 and nothing")
    with pytest.raises(InputError, match="is no part of a scan of this version"):
        State.read(part)
