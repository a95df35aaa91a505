"""The documentation of the paper is what the stored records say, and their activations are found again with torch alone."""

import re
from pathlib import Path

import pytest

from optigram.models.loading import bundled
from optigram.papers.poerner2018 import show
from optigram.papers.poerner2018.function_words import CONTENT, class_of
from optigram.papers.poerner2018.stored import read_records
from optigram.study.statistics import Comparison
from papers.rescore import differences

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs/poerner2018"
FOLDERS = {"bundled": DOCS, "wide": DOCS / "wide"}
FIGURE = re.compile(r"\d%|\[-?\d")  # a share, or an interval


@pytest.mark.parametrize("name", FOLDERS)
def test_pages_are_what_the_records_say(name):
    """If this fails: python -m optigram.papers.poerner2018.show docs/poerner2018/records/NAME FOLDER"""
    for page, text in show.pages(*show.read(DOCS / "records" / name)).items():
        assert (FOLDERS[name] / page).read_text(encoding="utf-8") == text


@pytest.mark.parametrize(("name", "page"), [("wide", "wide/training.md"), ("features", "wide/features.md")])
def test_the_log_of_the_training_is_the_one_that_is_kept(name, page):
    log = (DOCS / "records" / name / "training.log").read_text(encoding="utf-8").strip()
    assert log in (DOCS / page).read_text(encoding="utf-8")


def test_the_table_of_image_features_is_what_the_records_say():
    page, records = (DOCS / "wide/features.md").read_text(encoding="utf-8"), read_records(DOCS / "records/features" / show.RECORDS)
    for method in {record.method for record in records} - {"crp"}:
        one = Comparison.of(records, method, "crp")
        words = [word for record in records if record.method == method for word in record.text.split()]
        share = sum(class_of(word) != CONTENT for word in words) / len(words)
        assert one.neurons == 160
        assert f"| {method} | {one.show_ratio()} | {one.wins.show(percent=True)} | {share:.0%} |" in page


@pytest.mark.parametrize("name", [*FOLDERS, "features"])
def test_each_search_is_stored_once(name):
    records = read_records(DOCS / "records" / name / show.RECORDS)
    assert len({(one.arm, one.method, one.target, one.seed) for one in records}) == len(records)


def test_the_records_are_small():
    assert sum(path.stat().st_size for path in (DOCS / "records").rglob("*") if path.is_file()) < 5e6


def test_activations_are_found_again_with_torch_alone():
    found = differences(DOCS / "records/bundled" / show.RECORDS, bundled(), every=25)
    assert len(found) > 20
    assert max(found) < 1e-4


@pytest.mark.parametrize("page", ["docs/syntax.md", "src/optigram/papers/poerner2018/README.md"])
def test_pages_written_by_hand_have_no_figures_of_results(page):
    assert not FIGURE.findall((ROOT / page).read_text(encoding="utf-8"))
