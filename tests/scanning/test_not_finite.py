"""NaN and infinity: places that are not finite are counted and named, and are in no table, statistic, page or export."""

import copy
import json
import re

import numpy as np
import pytest
import torch

from optigram.errors import InputError
from optigram.models.loading import save
from optigram.report.html import _chosen as chosen
from optigram.report.html import write_scan_report
from optigram.report.scan_results import ScanResults
from optigram.report.scan_tables import summary
from optigram.scanning.examples import SPLITS
from optigram.scanning.export.formats import export
from optigram.scanning.scan import scan

TARGETS = ["visual.hidden:0", "3e+38*language:a", "-visual:dog"]
TEXTS = ["b c", "a b", "c d e"]


@pytest.fixture(scope="module")
def broken(tiny):
    """A model that gives NaN from the word "a" on."""
    model = copy.deepcopy(tiny)
    model.embedding.data[3] = torch.nan
    return model


@pytest.mark.parametrize("per_document", [1, 2])
@pytest.mark.parametrize("question", ["context", "alone"])
def test_places_that_are_not_finite_are_counted_and_named_and_never_kept(tiny, broken, tmp_path, question, per_document):
    asked = {"question": question, "length": 2, "skipped": 0, "per_document": per_document}
    found = scan(broken, TARGETS, TEXTS, out=tmp_path / "broken", **asked)
    assert found.about["broken"]["in"][0].endswith("at byte 16")  # the second line of a text
    counts = found.targets["broken"].to_pylist()
    assert counts[0] == counts[2] == (2 if question == "context" else 1)
    assert found.about["broken"]["values"] == sum(counts) > counts[0] + counts[2]  # the weight makes others infinite
    for target in TARGETS:
        rows = [row for split in SPLITS for row in found.of(target, split)]
        assert rows
        assert all(np.isfinite(row["activation"]) for row in rows)
    clean = scan(tiny, TARGETS, [TEXTS[0], TEXTS[2]], **asked)
    for row, other in zip(found.targets.to_pylist(), clean.targets.to_pylist(), strict=True):
        for name in ("highest", "lowest", "mean", "variance", "skewness", "kurtosis"):
            assert row[name] == pytest.approx(other[name], rel=1e-4, nan_ok=True)
        assert sum(row["histogram"]) == sum(other["histogram"])
    for said in (summary(found), repr(ScanResults.load(tmp_path / "broken"))):
        assert "NaN or infinite" in said
    write_scan_report(found, tmp_path / "page.html", "a page")
    assert "activations are NaN or infinite and count nowhere, in documents such as" in (tmp_path / "page.html").read_text()


def test_large_values_have_finite_moments(tiny):
    plain, large = (scan(tiny, [target], TEXTS, skipped=0).targets.to_pylist()[0] for target in ("language:a", "1e20*language:a"))
    assert large["mean"] == pytest.approx(1e20 * plain["mean"], rel=1e-5)
    assert [large[name] for name in ("skewness", "kurtosis")] == pytest.approx([plain[name] for name in ("skewness", "kurtosis")], rel=1e-3)


@pytest.fixture(scope="module")
def half_broken(tiny):
    """A model whose language path gives NaN on every text."""
    model = copy.deepcopy(tiny)
    model.paths["language"].bias_hh_l0.data[:] = torch.nan
    return model


def test_a_target_without_a_finite_place_is_left_out_of_the_page(half_broken, tmp_path):
    found = scan(half_broken, ["visual:dog", "language:a"], ["a b"], skipped=0, out=tmp_path / "scan")
    assert found.targets["broken"].to_pylist() == [0, 2]
    assert found.targets["highest"].to_pylist()[1] is None
    assert found["language:a"] == []
    assert chosen(found, None) == ["visual:dog"]
    for kind in ("openai", "neuronpedia", "csv"):
        export(found, kind, tmp_path / kind)


def test_a_model_of_nan_alone_is_told_so(run, broken, tmp_path):
    model = copy.deepcopy(broken)
    model.embedding.data[:] = torch.nan
    with pytest.raises(InputError, match="every activation is NaN or infinite; check the model's weights"):
        scan(model, "visual:dog", TEXTS)
    save(model, tmp_path / "model", {})
    for command in ("score", "explain"):
        code, out, err = run(command, tmp_path / "model", "visual:dog", "--text", "b c", "--json")
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert re.search("visual:dog is (NaN|not finite)", err)


def test_a_score_that_is_not_finite_is_refused(run, half_broken, tmp_path):
    save(half_broken, tmp_path / "model", {})
    for command in ("score", "explain"):
        code, out, err = run(command, tmp_path / "model", "language:a", "--text", "b c", "--json")
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert "language:a is not finite" in err


def no_constant(name):
    raise AssertionError(f"{name} in JSON")


def test_no_export_holds_nan(broken, tmp_path):
    found = scan(broken, TARGETS, TEXTS, skipped=0, out=tmp_path / "scan")
    for kind in ("openai", "neuronpedia"):
        export(found, kind, tmp_path / kind)
        for path in (tmp_path / kind).rglob("*.json"):
            json.loads(path.read_text(), parse_constant=no_constant)
