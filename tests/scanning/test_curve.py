"""The curve of the best activation against the size of the corpus, with what a search reached as a line."""

import numpy as np
import pytest

from optigram.errors import InputError
from optigram.models.loading import save
from optigram.report.scan_tables import corpus_curve
from optigram.runs.records import RecordFile
from optigram.scanning.results import ScanTables


@pytest.fixture
def folder(tiny, run, tmp_path):
    save(tiny, tmp_path / "model", {})
    rng = np.random.default_rng(0)
    (tmp_path / "c.txt").write_text("".join(" ".join(rng.choice(list("abcdefg"), 5)) + "\n" for _ in range(500)))
    asked = ("visual:dog", "--corpus", tmp_path / "c.txt", "--quiet", "--length", 3)
    assert run("scan", tmp_path / "model", *asked, "--question", "alone", "--out", tmp_path / "scan")[0] == 0
    assert run("find", tmp_path / "model", *asked, "--by", "crp,gbl", "--budget", 200, "--out", tmp_path / "found")[0] == 0
    return tmp_path


def test_the_command_draws_the_curve_which_rises_with_the_corpus_and_searches_as_lines(folder, run):
    assert run("curve", folder / "scan", "visual:dog", "--records", folder / "found", "--out", folder / "curve")[0] == 0
    assert {path.suffix for path in folder.rglob("curve.*")} >= {".svg", ".pdf", ".png"}
    found = ScanTables.load(folder / "scan")
    records = RecordFile.read(folder / "found" / "records.parquet")
    (axes,) = corpus_curve(found, "visual:dog", records).axes
    levels = {one.method: one.activation for one in records if one.target == "visual:dog" and one.rank == 1}
    corpus, *lines = axes.get_lines()
    tokens, best = map(list, corpus.get_data())
    assert axes.get_xscale() == "log"
    assert tokens == sorted(tokens)
    assert best == sorted(best)
    assert tokens[-1] == 2500
    assert best[-1] == found["visual:dog"][0]["activation"] == pytest.approx(levels["crp"], abs=1e-6)
    assert {line.get_label(): line.get_ydata()[0] for line in lines} == levels
    with pytest.raises(InputError, match="was not scanned"):
        corpus_curve(found, "visual:cat")
