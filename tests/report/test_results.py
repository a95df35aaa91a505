"""Results in notebooks and terminals."""

import io
from dataclasses import replace

import pytest
from rich.console import Console

from made_runs import HOSTILE, SETTINGS, made_run, made_scan
from optigram.errors import InputError
from optigram.report.colours import shade
from optigram.report.explanations import Explanations
from optigram.report.results import LINES, SHOWN, Results
from optigram.report.scan_results import ScanResults
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


def test_results_are_a_sequence_of_records_and_stay_results(results):
    assert results[0] is results.records[0]
    assert results[-1] is results.records[-1]
    assert isinstance(results[2:5], Results)
    assert list(results[2:5]) == list(results.records[2:5])
    assert results.records[3] in results
    assert len(results.filter(method="gbl")) == 4
    assert len(results.filter(lambda record: record.rank == 1, method="gbl", target="visual:word1")) == 1
    assert [one.target for one in results.filter(target="visual:word1").evidence] == ["visual:word1"]


def test_best_is_the_best_text_of_each_target(results):
    assert [record.target for record in results.top()] == [f"visual:word{n}" for n in range(4)]
    for record in results.top():
        assert record.activation == max(one.activation for one in results[record.target])


def test_repr_shows_the_first_lines(results):
    lines = repr(results).splitlines()
    assert lines[0] == "Results: 20 texts of 4 targets by crp, emb, logit, smx, gbl"
    assert len(lines) == LINES + 2
    assert results.records[0].text in lines[1]
    assert lines[-1].strip() == "..."
    assert repr(results[:1]).splitlines()[0] == "Results: 1 text of 1 target by crp"


def test_empty_results_print_sensibly(capsys, tmp_path):
    empty = Results([])
    empty.show()
    assert repr(empty) == "Results: no texts" == capsys.readouterr().out.strip()
    assert "no texts" in empty._repr_html_()
    assert len(empty[:3]) == empty.to_arrow().num_rows == 0
    for attempt in (lambda: empty.save(tmp_path / "run"), lambda: empty.report(tmp_path / "page.html"), empty.figure, lambda: empty["x:1"]):
        with pytest.raises(InputError):
            attempt()


def test_saved_results_open_again_and_are_not_written_over(results, tmp_path):
    known = replace(results, settings=SETTINGS, about={"fingerprints": {"model": "x"}})
    known.save(tmp_path / "run")
    again = Results.open(tmp_path / "run")
    assert [record.activation for record in again] == pytest.approx([record.activation for record in results])
    assert [replace(record, activation=0.0) for record in again] == [replace(record, activation=0.0) for record in results]
    assert len(again.evidence) == 4
    assert again.settings == SETTINGS
    again.save(tmp_path / "copy")
    assert Results.open(tmp_path / "copy").about == again.about
    with pytest.raises(InputError, match="already holds a run"):
        results.save(tmp_path / "run")


def test_a_report_needs_no_settings_and_then_names_no_commands(results, tmp_path):
    results.report(tmp_path / "with evidence.html")
    text = (tmp_path / "with evidence.html").read_text()
    assert "<title>with evidence" in text
    assert '"substitutes":' in text
    assert "optigram find" not in text
    replace(results, settings=SETTINGS).report(tmp_path / "page.html", title="mine")
    assert "optigram find" in (tmp_path / "page.html").read_text()


def test_a_notebook_marks_free_words_in_their_template(results):
    record = replace(results.records[0], text="b c", whole="a b c d", free=[[2, 3], [4, 5]])
    assert "<bdi>a </bdi><bdi><b>b c</b></bdi><bdi> d</bdi>" in Results([record])._repr_html_()
    assert "**b c**" in repr(Results([record]))
    assert "<b>" not in Results(results.records)._repr_html_()


def test_without_pandas_or_polars_it_says_what_to_install(monkeypatch):
    results, scan = Results(made_run(1)[0].records), ScanResults(**vars(made_scan(1)))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    for frame in (results.to_pandas, results.to_polars, scan.to_pandas, scan.to_polars, Explanations(()).to_pandas):
        with pytest.raises(InputError, match=r"need the package (pandas|polars); install it with: pip install 'optigram\[tables\]'"):
            frame()
