"""The whole paper on a model of seven words: everything that it should leave is there, and says what the records say."""

import dataclasses
import shutil

import pytest

from optigram.errors import InputError
from optigram.methods import paper as presets
from optigram.models import loading
from optigram.papers.poerner2018 import recipe, reproduce
from optigram.papers.poerner2018.claims import FAILS, HOLDS, UNDECIDED, _claims
from optigram.papers.poerner2018.recipe import DIRECTIONS, FAIR, FAITHFUL, MODERN, WEIGHTS
from optigram.papers.poerner2018.reproduce import _quantiles, _table1
from optigram.runs.records import Record, RecordFile
from optigram.study import statistics

faithful = presets.faithful
BLANK = Record("m", "language:a", "crp", "", 0, 1, "a b", ["a", "b"], [3, 4], 1.0, None, True, 10.0, 5.0, 0.0, {})
FILES = {f"{name}.{suffix}" for name in ("figure1", "figure1-normalised", "figure1-fair", "budget") for suffix in ("svg", "pdf", "png")}
FILES |= {"table1.md", "table1.tex", "table1.txt", "table1.html", "claims.md", "manifest.json", "records.parquet"}


def told(*words):
    raise AssertionError(words)


@pytest.fixture(scope="module")
def asked(tiny, tmp_path_factory):
    folder = tmp_path_factory.mktemp("paper")
    loading.save(tiny, folder / "model", {})
    (folder / "corpus.txt").write_text("a b c d e f\ng f e d c\na a b b c\ng a c e b d f\nf f g a the b\n")
    return reproduce.Reproduction("small", str(folder / "model"), str(folder / "corpus.txt"), workers=0), folder


@pytest.fixture(scope="module")
def run(asked, tmp_path_factory):
    """The study in little: the recipe's arms and methods with a smaller budget."""
    patch = pytest.MonkeyPatch()
    patch.setitem(recipe.RECIPES, "small", dataclasses.replace(recipe.RECIPES["small"], budget=40, few=2, placebos=2))
    patch.setattr(recipe, "_equal_budget", lambda shorter: 60.0)
    patch.setattr(presets, "EPOCHS", 8)
    patch.setattr(presets, "faithful", lambda label, shorter=1: dataclasses.replace(faithful(label, shorter), steps=8))
    patch.setattr(statistics, "RESAMPLES", 200)
    said: list[str] = []
    out = asked[1] / "out"
    records = asked[0].run(out, said.append, lambda done, total, what: None)
    yield records, out, said
    patch.undo()


def test_all_files_are_there_and_the_records_are_those_on_disk(run):
    records, out, said = run
    assert {path.name for path in out.iterdir()} >= FILES
    assert RecordFile.read(out / "records.parquet") == records
    assert {record.arm for record in records} == {MODERN, FAITHFUL, FAIR, DIRECTIONS, WEIGHTS}
    assert any("forward-equivalents" in line for line in said)


def test_a_second_run_does_no_cell_again_and_writes_the_same_figures(run, asked):
    records, out, _ = run
    before = (out / "figure1.svg").read_bytes()
    again = asked[0].run(out, lambda text: None, lambda done, total, what: None)
    assert again == records
    assert (out / "figure1.svg").read_bytes() == before


def test_the_claims_page_has_every_part(run):
    page = (run[1] / "claims.md").read_text()
    for head in ("Which method finds", "Every method against", "Placebos", "Function words", "Omission scores"):
        assert f"## {head}" in page or head in page
    assert page.count("gbl is above crp") == 6  # three settings, two paths


def test_a_plan_does_nothing(asked, tmp_path):
    said: list[str] = []
    assert asked[0].run(tmp_path / "none", said.append, told, plan_only=True) == []
    assert not (tmp_path / "none").exists()
    assert any("GFLOP" in line for line in said)


def test_what_does_not_go_together_is_one_line(asked, tmp_path):
    for wrong, words in (
        ({"scale": "huge"}, "expected --scale small or paper"),
        ({"scale": "paper", "model": "imaginet"}, "give --data FOLDER"),
        ({"data": tmp_path}, "expected --data alone"),
    ):
        with pytest.raises(InputError, match=words):
            dataclasses.replace(asked[0], **wrong).run(tmp_path / "x", lambda text: None, told)


def test_without_matplotlib_it_says_so_before_the_work(asked, tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install 'optigram\[figures\]'"):
        asked[0].run(tmp_path / "x", lambda text: None, told)


def test_verdicts_are_the_intervals(monkeypatch):
    monkeypatch.setattr(statistics, "RESAMPLES", 400)

    def of(method, values, arm=MODERN):
        targets = [f"language:{i}" for i in range(len(values))]
        return [
            dataclasses.replace(BLANK, arm=arm, target=target, method=method, activation=value)
            for target, value in zip(targets, values, strict=True)
        ]

    base = [1.0 + i for i in range(12)]
    records = of("crp", base) + of("gbl", [x + 1 for x in base]) + of("smx", [x + 0.5 for x in base])
    records += of("logit", [x / 2 for x in base]) + of("emb", [x + (-1) ** i for i, x in enumerate(base)])
    found = {claim.claim: claim.verdict for claim in _claims(records)}
    assert found == {
        "gbl is above crp": HOLDS,
        "smx is below crp": FAILS,
        "gbl is above smx": HOLDS,
        "logit is below crp": HOLDS,
        "gbl is above logit": HOLDS,
        "emb is below crp": UNDECIDED,
        "gbl is above emb": UNDECIDED,
    }


def test_table1_takes_the_neurons_that_part_the_ratios():
    records = []
    for i in range(7):
        for method, value in (("crp", 1.0), ("gbl", 1.0 + i)):
            records.append(dataclasses.replace(BLANK, arm=MODERN, target=f"visual:{i}", method=method, activation=value))
    assert _quantiles(records, 1) == ["visual:3"]
    assert _quantiles(records, 3) == ["visual:1", "visual:3", "visual:5"]
    grid = _table1(records, MODERN)
    assert [row[0] for row in grid.rows] == ["crp", "gbl"] * 2
    assert {row[2] for row in grid.rows} == {"visual:2", "visual:4"}


@pytest.fixture(autouse=True, scope="module")
def _tidy(asked):
    yield
    shutil.rmtree(asked[1] / "out", ignore_errors=True)
