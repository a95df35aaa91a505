from dataclasses import replace

import pytest
from rich.console import Console

from optigram.report.tables import ngram_table
from optigram.runs.records import Record, read, write

RECORD = Record(
    model="tiny",
    target="visual:dog",
    method="crp",
    settings="Corpus('x')",
    seed=0,
    rank=1,
    text="a [b] c",
    tokens=["a", "[b]", "c"],
    ids=[3, 4, 5],
    activation=2.0,
    surprisal=None,
    survives=True,
    forwards=10.0,
    backwards=0.0,
    seconds=0.5,
    notes={"soft": 1.5},
)


def shown(*records: Record) -> str:
    console = Console(width=120)
    with console.capture() as capture:
        console.print(ngram_table(records))
    return capture.get()


def test_records_survive_the_disk(tmp_path):
    records = [RECORD, replace(RECORD, method="gbl", notes={})]
    write(records, tmp_path / "records.parquet")
    assert read(tmp_path / "records.parquet") == records


def test_the_table_shows_ratios_to_corpus_search_and_no_markup_of_the_text():
    table = shown(RECORD, replace(RECORD, method="gbl", activation=3.0))
    assert "1.50" in table
    assert "a [b] c" in table


@pytest.mark.parametrize(("baseline", "ratio"), [(-1.0, "-"), (0.0, "-")])
def test_a_ratio_to_nothing_is_not_shown(baseline, ratio):
    line = shown(replace(RECORD, activation=baseline), replace(RECORD, method="gbl")).splitlines()[-1]
    assert ratio in line.split()


def test_without_corpus_search_there_are_no_ratios():
    assert "/ crp" not in shown(replace(RECORD, method="gbl"))


def test_nats_are_shown_where_some_are_known():
    assert "nats" not in shown(RECORD)
    assert "4.25" in shown(RECORD, replace(RECORD, method="epo", surprisal=4.25)).splitlines()[-1]
