"""Results in notebooks and terminals."""

import io
from dataclasses import replace

import pytest
from rich.console import Console

from made_runs import HOSTILE, made_run
from optigram.errors import InputError
from optigram.report.colours import shade
from optigram.report.results import SHOWN, Results
from optigram.report.tables import ngram_table
from optigram.runs.find import MethodResult


@pytest.fixture(scope="module")
def results() -> Results:
    kept, evidence = made_run(4)
    return Results(kept.records, evidence)


def test_tables_of_every_kind_hold_all_records(results):
    for found in (results.to_arrow().to_pylist(), results.to_pandas().to_dict("records"), results.to_polars().to_dicts()):
        assert [row["text"] for row in found] == [record.text for record in results]
    assert len(results) == 20


def test_one_target_and_the_best(results):
    part = results["visual:word2"]
    assert {record.target for record in part} == {"visual:word2"}
    assert len(part.evidence) == 1
    best = results.top(2)
    assert [record.activation for record in best["visual:word2"]] == sorted((r.activation for r in part), reverse=True)[:2]
    with pytest.raises(InputError, match="visual:word1"):
        results["visual:word11"]


def test_finds_become_results(results):
    finds = [MethodResult("crp", list(results.records[:2]), 0, False), MethodResult("gbl", list(results.records[2:3]), 0, False)]
    assert Results.of(finds).records == list(results.records[:3])


def test_a_notebook_shows_every_word_as_text():
    kept, evidence = made_run(8, HOSTILE)
    for known in (evidence, []):
        shown = Results(kept.records, known)._repr_html_()
        assert "<script" not in shown
        assert "<img" not in shown
        assert "\u202e" not in shown
        assert shown.count("<tr>") == 41
    assert "title=" in Results(kept.records, evidence)._repr_html_()


def test_a_notebook_is_not_flooded(results):
    many = Results([replace(record, rank=i) for i in range(10) for record in results])
    assert f"and {200 - SHOWN} more" in many._repr_html_()


def test_figures_are_matplotlib_s(results):
    assert results.figure().axes[0].get_ylabel() == "activation / best of the corpus"
    alone = Results([record for record in results if record.method == "gbl"])
    assert alone.figure().axes[0].get_ylabel() == "activation (model's own units)"


def test_the_terminal_colours_words(results, capsys):
    console = Console(file=io.StringIO(), force_terminal=True, color_system="truecolor", width=200)
    console.print(ngram_table(results.records, results.evidence))
    assert "\x1b[4;38;2;29;28;26;48;2" in console.file.getvalue()
    results.show()
    assert "visual:word3" in capsys.readouterr().out


def test_colours_say_how_much_and_which_way():
    colours, top = shade(10.0, [8.0, 11.0, 9.9, None])
    assert colours[0] == "#f0882a"
    assert colours[1] > "#4a8fd6"
    assert colours[2:] == [None, None]
    assert top == 0
    assert shade(1.0, [2.0, 1.0])[1] is None
    assert shade(1.0, [None]) == ([None], None)
