"""Tables show the figures of the data, and the pages of the documentation are those that `show` writes."""

import dataclasses

import pytest
from benchmarks.case import Case, Metric, metrics
from benchmarks.peers import run as contest
from benchmarks.quality.search import derive
from benchmarks.registry import named
from benchmarks.results import Row
from benchmarks.show import Block

from benchmarks import results, show
from optigram.errors import InputError

CASE = Case("a/b", "a case", lambda settings: None, lambda context, unit, seed: [], metrics("x: the x .2f; y*: the y .0%"))
CASE = dataclasses.replace(CASE, rows=("method",), columns=("budget",), sort="x")


def rows() -> list[Row]:
    made = [("a", 10.0, [1.0, 0.5, 1.5], 0.25, 0), ("b", 10.0, 3.0, None, 0), ("b", 1000.0, 4.0, 0.5, 0), ("b", 1000.0, 5.0, 0.7, 1)]
    return [
        Row("a/b", "1234567", {}, seed, {"method": method, "budget": budget, "site": "s"}, {"x": x, "y": y}, [], "2026-01-01")
        for method, budget, x, y, seed in made
    ]


@pytest.fixture
def path(tmp_path):
    results.append(tmp_path / "r.jsonl", rows())
    return tmp_path / "r.jsonl"


def test_a_table_has_the_figures(path):
    assert show.table(CASE, Block("a/b"), path).splitlines() == [
        "*site s; median of 2 seeds; commit 1234567, 2026-01-01*",
        "",
        "| method | 10: the x | 1,000: the x | the y |",
        "|---|---:|---:|---:|",
        "| b | 3.00 | 4.50 | 60% |",
        "| a | 1.00 [0.50, 1.50] |  | 25% |",
    ]


def test_a_block_picks_rows_and_metrics(path):
    shown = show.table(CASE, Block.parse("a/b", ["method=a", "metrics=y", "columns="]), path)
    assert shown.splitlines()[-1] == "| a | 25% |"
    with pytest.raises(InputError, match="unknown metric 'z'"):
        show.table(CASE, Block.parse("a/b", ["metrics=z"]), path)
    with pytest.raises(InputError, match="no results of a/b"):
        show.table(CASE, Block.parse("a/b", ["method=c"]), path)


def test_a_plot_is_the_same_twice(path):
    drawn = show.plot(CASE, Block("a/b"), path)
    assert drawn.startswith("<?xml")
    assert drawn == show.plot(CASE, Block("a/b"), path)


def test_pages_are_filled_between_their_markers(path, tmp_path, monkeypatch):
    monkeypatch.setattr(show, "named", lambda name: (CASE,))
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- benchmark: a/b method=a -->\nold\n<!-- end -->\nafter\n", encoding="utf-8")
    assert show.rewrite_docs(path, tmp_path) == [page]
    text = page.read_text(encoding="utf-8")
    assert "| a | 1.00 [0.50, 1.50] | 25% |" in text
    assert text.startswith("before\n<!-- benchmark")
    assert text.endswith("<!-- end -->\nafter\n")
    assert "old" not in text
    assert show.rewrite_docs(path, tmp_path) == []


def test_shares_are_of_the_best_that_all_methods_know():
    def found(method: str, *values: float) -> Row:
        texts = [{"target": f"t{number}", "text": "", "activation": value, "area": value / 2} for number, value in enumerate(values)]
        return Row("quality/search", "", {}, 0, {"method": method, "budget": 10.0}, {}, texts, "")

    one, auto = derive([found("best known", 4.0, 8.0), found("a", 1.0, 8.0), found("auto", 2.0, 4.0)])
    assert one.metrics["share"][0] == pytest.approx((0.25 + 1) / 2)
    assert (one.metrics["lowest"], one.metrics["above"], one.metrics["below"]) == (0.25, 1, 1)
    assert one.metrics["to_auto"] == pytest.approx((0.5 + 2) / 2)
    assert auto.metrics["area"] == pytest.approx(0.25)


def test_sites_of_a_transformer_are_shown_together_by_the_mean_over_seeds():
    def found(site: str, seed: int, value: float) -> Row:
        texts = [{"target": site, "text": "", "activation": value, "area": 0.0}]
        return Row("quality/search", "", {}, seed, {"method": "auto", "budget": 10.0, "site": site, "targets": 1}, {}, texts, "")

    *_, together = derive([found("a", 0, 1.0), found("a", 1, 2.0), found("b", 0, 4.0), found("b", 1, 4.0)])
    assert {name: together.settings[name] for name in ("site", "targets", "seeds")} == {"site": "all", "targets": 2, "seeds": 2}
    assert together.metrics["share"][0] == pytest.approx((0.75 + 1) / 2)


def test_peers_are_compared_over_all_seeds_at_equal_cost_and_in_equal_seconds():
    def found(tool: str, seed: int, activation: float, processor: float, **more) -> Row:
        text = {"target": "pizza", "text": "", "activation": activation, "floor": 0.0, "processor": processor, **more}
        return Row("peers/contest", "", {}, seed, {"contest": "cosine", "budget": 10.0, "tool": tool}, {}, [text], "")

    curve = [[1.0, 1.0], [5.0, 2.0], [10.0, 4.0]]
    ours = [found("optigram:auto", seed, 4.0, 2.0, curve=curve) for seed in (0, 1)]
    whole = [found("whole:auto", seed, 2.0, 2.0, curve=curve) for seed in (0, 1)]
    peers = [found("tropt:gcg", 0, 3.0, 1.0), found("tropt:gcg", 1, 3.0, 8.0)]
    auto, *_, peer = contest.derive([*ours, *whole, *peers])
    assert peer.metrics["auto_wins"][0] == 1.0
    assert peer.metrics["whole_wins"][0] == 0.0
    assert peer.metrics["time_wins"][0] == 0.5  # in half of our seconds we had 2.0
    assert peer.metrics["worth"] == pytest.approx(0.75)
    assert "auto_wins" not in auto.metrics


def test_cells_are_told():
    assert Metric("x", "x", "{:,.0f}").told(1234.5) == "1,234"
    assert Metric("x", "x").told("1 to 2") == "1 to 2"
    assert Metric("x", "x").told(None) == ""


def test_the_documentation_shows_the_data(tmp_path):
    """Every block of the real pages, but for plots, is what the results say."""
    pages = [page for page in show.DOCS.glob("*.md") if "<!-- benchmark:" in page.read_text(encoding="utf-8")]
    assert len(pages) >= 3
    for page in pages:
        for found in show.MARKER.finditer(page.read_text(encoding="utf-8")):
            if "plot=" not in found[2]:
                assert show._filled(results.RESULTS, show.DOCS, found) == found[0], found[2]
    assert results.RESULTS.stat().st_size < 1_000_000


def test_every_imported_row_belongs_to_a_case():
    for row in results.read(results.RESULTS):
        (case,) = named(row.case)
        assert set(row.metrics) <= {metric.name for metric in case.metrics} | {"share", "version"}, row.settings
        assert row.commit
        assert row.when
