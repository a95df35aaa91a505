from dataclasses import replace

import pytest
from rich.console import Console
from rich.text import Text

from optigram.report.escape import Word
from optigram.report.tables import ngram_table
from optigram.runs.records import Record, RecordFile
from optigram.study.evidence import Evidence, Heat

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
    whole="a [b] c",
    free=[[0, 1], [2, 5], [6, 7]],
)
UNDER = replace(
    RECORD,
    text="woman under",
    whole="a photo of a woman under an umbrella",
    free=[[13, 18], [19, 24]],
    tokens=["a", "photo", "of", "a", "woman", "under", "an", "umbrella"],
)


def shown(*records: Record, evidence=(), **settings) -> str:
    console = Console(width=160, **settings)
    with console.capture() as capture:
        console.print(ngram_table(records, evidence))
    return capture.get()


def test_records_survive_the_disk(tmp_path):
    records = [RECORD, replace(UNDER, method="gbl", notes={}, trace=[[1.0, 2.0, 1.5]])]
    RecordFile.write(records, tmp_path / "records.parquet")
    assert RecordFile.read(tmp_path / "records.parquet") == records


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
    assert "nats per token" not in shown(RECORD)
    assert "4.25" in shown(RECORD, replace(RECORD, method="epo", surprisal=4.25)).splitlines()[-1]


def test_the_cost_of_a_chain_counts_its_corpus_search():
    """`auto` starts from a corpus search, which is most of its cost."""
    auto = replace(RECORD, method="auto", forwards=382.0, backwards=200.0, notes={"corpus_forwards": 60_840.0})
    assert auto.total_forwards == 61_422
    assert "61,422" in shown(auto)
    assert "582" not in shown(auto)


def test_a_text_in_a_template_is_shown_whole_with_its_free_words_marked():
    assert "a photo of a **woman under** an umbrella" in shown(UNDER)
    assert "a photo of a \x1b[1mwoman under\x1b[0m an umbrella" in shown(UNDER, force_terminal=True, color_system="truecolor")
    assert "**" not in shown(RECORD)


def test_words_with_evidence_stand_in_their_template():
    heat = Heat("", "crp", 0, 1, ["woman", "under"], [1.0, 1.9])
    evidence = [Evidence("tiny", "visual:dog", [], [heat], [], 0, [], [], [], [], [])]
    plain = Text.from_ansi(shown(UNDER, evidence=evidence, force_terminal=True, color_system="truecolor")).plain
    assert "a photo of a woman under an umbrella" in plain
    words = Word.of_record(replace(UNDER, whole="a woman is under it", free=[[2, 7], [11, 16]]), heat)
    assert [word.text.strip() for word in words] == ["a", "woman", "is", "under", "it"]
    assert [word.free for word in words] == [False, True, False, True, False]


@pytest.mark.parametrize(
    ("whole", "free", "pieces"),
    [
        ("a [b] c", [[0, 1], [2, 5], [6, 7]], [("a [b] c", True)]),
        ("x a [b] c", [[2, 3], [4, 7], [8, 9]], [("x ", False), ("a [b] c", True)]),
        ("a x [b] c.", [[0, 1], [4, 7], [8, 9]], [("a", True), (" x ", False), ("[b] c", True), (".", False)]),
        ("", [], [("a [b] c", True)]),
    ],
)
def test_a_whole_text_in_pieces(whole, free, pieces):
    assert replace(RECORD, whole=whole, free=free).pieces() == pieces
