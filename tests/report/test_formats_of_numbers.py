"""Tables in four formats, with what each must escape."""

import re

import pytest

from optigram.report.comparisons import duration
from optigram.report.formats import FORMATS, Grid

HOSTILE = "<img onerror=x> a|b \\ 50% & $x_1$ #{}~^ *bold* \n end"
GRID = Grid(("method", "n"), [["gbl", "1.5"], [HOSTILE, "22"]], frozenset({1}), frozenset({1}), "about & more")


def test_plain_columns_line_up():
    lines = Grid(("a", "n"), [["x", "1"], ["long", "22"]], frozenset({1})).plain().splitlines()
    assert lines == ["a      n", "----  --", "x      1", "long  22"]


def test_markdown_keeps_a_row_on_its_line():
    rows = [line for line in GRID.markdown().splitlines() if line.startswith("|")]
    assert len(rows) == 4
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {3}
    assert "<img" not in re.sub(r"\\<", "", GRID.markdown())


def test_latex_escapes_what_tex_would_read():
    body = GRID.latex()
    assert r"\% \& \$x\_1\$ \#\{\}\textasciitilde{}\textasciicircum{}" in body
    assert body.count(r"\midrule") == 2


def test_html_is_text():
    assert "<img" not in GRID.html()
    assert "&lt;img" in GRID.html()


@pytest.mark.parametrize("render", FORMATS.values())
def test_a_table_without_rows_is_its_head(render):
    assert "method" in render(Grid(("method",), []))


@pytest.mark.parametrize(("seconds", "words"), [(4, "4 s"), (300, "5 min"), (3600 * 7, "7.0 h"), (86400 * 20, "20 days")])
def test_durations(seconds, words):
    assert duration(seconds) == words
