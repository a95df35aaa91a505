"""The whole paper on a model of seven words: everything that it should leave is there, and says what the records say."""

import dataclasses
import shutil

import pytest

from optigram.errors import InputError
from optigram.methods import paper as presets
from optigram.models import loading
from optigram.papers.poerner2018 import claims, omission, recipe, reproduce, show, syntax
from optigram.papers.poerner2018.claims import FAILS, FEW, HOLDS, UNDECIDED, _claims
from optigram.papers.poerner2018.growth import Growth
from optigram.papers.poerner2018.larger import FALLS, Larger
from optigram.papers.poerner2018.recipe import DIRECTIONS, FAITHFUL, MODERN, TABLE1, WEIGHTS, WHOLE
from optigram.papers.poerner2018.stored import read_records
from optigram.papers.poerner2018.table1 import _quantiles, grid
from optigram.report import figures
from optigram.runs.records import Record, RecordFile
from optigram.study import statistics
from optigram.study.estimate import estimate

faithful = presets.faithful
BLANK = Record("m", "language:a", "crp", "", 0, 1, "a b", ["a", "b"], [3, 4], 1.0, None, True, 10.0, 5.0, 0.0, {})
FIGURES = ("figure1", "figure1-normalised", "figure1-faithful", "budget", "corpus-size")
FILES = {f"{name}.svg" for name in FIGURES}
FILES |= {"table1.md", "table1.tex", "table1.txt", "table1.html", "claims.md", "readers.md", "manifest.json", "records.parquet"}
FILES |= {"records.jsonl.xz", "measures.json", "growth.json"}


def told(*words):
    raise AssertionError(words)


@pytest.fixture(scope="module")
def asked(tiny, tmp_path_factory):
    folder = tmp_path_factory.mktemp("paper")
    loading.save(tiny, folder / "model", {})
    (folder / "corpus.txt").write_text("a b c d e f\ng f e d c\na a b b c\ng a c e b d f\nf f g a the b\n")
    return reproduce.Reproduction("medium", str(folder / "model"), str(folder / "corpus.txt"), workers=0), folder


@pytest.fixture(scope="module")
def run(asked, tmp_path_factory):
    """The medium study in little: all its arms and methods with smaller budgets, and nothing left out for few neurons."""
    with pytest.MonkeyPatch.context() as patch:
        little = {"budget": 24, "seeds": 1, "few": 1, "fair": 0, "placebos": 1, "whole": 1, "gumbel": 0}
        patch.setitem(recipe.RECIPES, "medium", dataclasses.replace(recipe.RECIPES["medium"], **little))
        patch.setattr(recipe, "SHOWN", {"language": ("a",), "visual": ("dog",)})
        patch.setattr(presets, "BUDGET", 24)
        patch.setattr(reproduce, "estimate", lambda context, todo: estimate(context, todo[:1]))
        patch.setattr(claims, "LEAST", 1)
        patch.setattr(presets, "faithful", lambda label, shorter=1: dataclasses.replace(faithful(label, shorter), steps=3))
        for module in (statistics, syntax, omission):
            patch.setattr(module, "RESAMPLES", 200)
        patch.setattr(figures, "SUFFIXES", ("svg",))
        said: list[str] = []
        out = asked[1] / "out"
        records = asked[0].run(out, said.append, lambda done, total, what: None)
        yield records, out, said


def test_all_files_are_there_and_the_records_are_those_on_disk(run):
    records, out, said = run
    assert {path.name for path in out.iterdir()} >= FILES
    assert RecordFile.read(out / "records.parquet") == records
    assert {record.arm for record in records} == {MODERN, FAITHFUL, WHOLE, TABLE1, DIRECTIONS, WEIGHTS}
    assert any("forward-equivalents" in line for line in said)


def test_a_second_run_does_no_cell_again_and_stores_the_same(run, asked, monkeypatch):
    records, out, _ = run
    kept = [(out / name).read_bytes() for name in (show.RECORDS, show.MEASURES, show.GROWTH)]
    monkeypatch.setattr(show, "write", lambda *read: None)  # the next test but one draws the same again
    assert asked[0].run(out, lambda text: None, lambda done, total, what: None) == records
    assert [(out / name).read_bytes() for name in (show.RECORDS, show.MEASURES, show.GROWTH)] == kept


def test_the_claims_page_has_every_part(run):
    page = (run[1] / "claims.md").read_text()
    heads = ("Which method finds", "Every method against", "Shortened runs", "How near emb's", "Placebos", "Corpus search in larger")
    for head in (*heads, "Function words", "Omission scores", "What was run"):
        assert f"## {head}" in page
    assert page.count("| gbl is above crp") == 4 + 2  # two settings, two paths; and in larger corpora
    readers = (run[1] / "readers.md").read_text()
    assert readers.count("*Claimed") == readers.count("*How sure") == readers.count("*What would change our mind") == 5


def test_what_is_stored_shows_the_same_without_a_model(run, tmp_path, monkeypatch):
    _, out, _ = run
    kept = tmp_path / "kept"
    kept.mkdir()
    for name in (show.RECORDS, show.MEASURES, show.GROWTH):
        shutil.copyfile(out / name, kept / name)
    monkeypatch.setattr("optigram.models.loading.load", told)
    show.write(*show.read(kept), tmp_path / "shown")
    for name in ("claims.md", "readers.md", "table1.tex", "figure1.svg", "corpus-size.svg", "budget.svg"):
        assert (tmp_path / "shown" / name).read_bytes() == (out / name).read_bytes(), name
    with pytest.raises(InputError, match=r"records\.jsonl\.xz"):
        show.read(tmp_path)


def test_stored_records_are_the_records(run):
    records, out, _ = run
    for kept, record in zip(read_records(out / show.RECORDS), records, strict=True):
        assert (kept.target, kept.method, kept.seed, kept.arm, kept.ids) == (
            record.target,
            record.method,
            record.seed,
            record.arm,
            record.ids,
        )
        assert (kept.activation, kept.tokens) == (pytest.approx(record.activation, rel=1e-7), record.tokens)


def test_a_plan_does_nothing(asked, tmp_path):
    said: list[str] = []
    assert asked[0].run(tmp_path / "none", said.append, told, plan_only=True) == []
    assert not (tmp_path / "none").exists()
    assert any("GFLOP" in line for line in said)


def test_what_does_not_go_together_is_one_line(asked, tmp_path):
    for wrong, words in (
        ({"scale": "huge"}, "expected --scale small or medium or paper"),
        ({"scale": "paper", "model": "imaginet"}, "give --data FOLDER"),
        ({"data": tmp_path}, "expected --data alone"),
    ):
        with pytest.raises(InputError, match=words):
            dataclasses.replace(asked[0], **wrong).run(tmp_path / "x", lambda text: None, told)


def test_without_matplotlib_it_says_so_before_the_work(asked, tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install 'optigram\[figures\]'"):
        asked[0].run(tmp_path / "x", lambda text: None, told)


def of(method, values, arm=MODERN):
    targets = [f"language:{i}" for i in range(len(values))]
    return [
        dataclasses.replace(BLANK, arm=arm, target=target, method=method, activation=value)
        for target, value in zip(targets, values, strict=True)
    ]


def test_verdicts_are_the_intervals_and_the_corrected_p(monkeypatch):
    monkeypatch.setattr(statistics, "RESAMPLES", 1000)
    monkeypatch.setattr(claims, "LEAST", 40)
    base = [1.0 + i for i in range(40)]
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
    few = [record for record in records if int(record.target.split(":")[1]) < 39]
    assert {claim.verdict for claim in _claims(few)} == {FEW}


def test_a_verdict_that_changes_with_the_corpus_is_undecided(monkeypatch):
    """crp rises by 1 with each of the last doublings: emb is 2 above it in small corpora, gbl is 9 above."""
    monkeypatch.setattr(statistics, "RESAMPLES", 500)
    base = [5.0 + i / 10 for i in range(40)]
    sizes, targets = [12_500, 25_000, 50_000, 100_000], [f"language:{i}" for i in range(40)]
    grown = Growth("m", "captions", 9, 0, 9, sizes, targets, [[[x + part for x in base] for part in range(4)]])
    records = of("gbl", [x + 9 for x in base]) + of("emb", [x + 3 + i % 3 / 10 for i, x in enumerate(base)])
    found = {row.claim: row for row in Larger.all_of(records, grown)}
    assert found["gbl is above crp"].overall == HOLDS
    assert found["emb is below crp"].overall == FALLS
    assert found["emb is below crp"].compared[-1].difference.value == pytest.approx(3.1 - 3 - 2.5, abs=0.01)  # 2.5 doublings to 566,435


def test_table1_takes_the_neurons_that_part_the_ratios():
    records = []
    for i in range(7):
        for method, value in (("crp", 1.0), ("gbl", 1.0 + i)):
            records.append(dataclasses.replace(BLANK, arm=MODERN, target=f"visual:{i}", method=method, activation=value))
    assert _quantiles(records, 1) == ["visual:3"]
    assert _quantiles(records, 3) == ["visual:1", "visual:3", "visual:5"]
    made = grid(records)
    assert [row[0] for row in made.rows] == ["crp", "gbl"] * 2
    assert {row[2] for row in made.rows} == {"visual:2", "visual:4"}
    named = [dataclasses.replace(BLANK, arm=TABLE1, method=method, seed=seed) for method, seed in (("crp", 0), ("gbl", 0), ("gbl", 1))]
    assert [row[:3] for row in grid([*records, *named]).rows[:2]] == [[method, "a b [a]", "language:a"] for method in ("crp", "gbl")]


@pytest.fixture(autouse=True, scope="module")
def _tidy(asked):
    yield
    shutil.rmtree(asked[1] / "out", ignore_errors=True)
