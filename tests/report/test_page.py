"""The page of a run: what it holds, that it needs nothing else, and that no word of a model becomes markup."""

import base64
import hashlib
import json
import re
from dataclasses import replace

import pytest

from elements import Elements
from made_runs import HOSTILE, made_run
from optigram.report.html import page, write_report


@pytest.fixture(scope="module")
def hostile():
    return made_run(len(HOSTILE), HOSTILE)


def test_words_of_a_model_are_text_and_never_markup(hostile):
    plain, wild = (Elements(page(*run)) for run in (made_run(len(HOSTILE)), hostile))
    assert wild.tags == plain.tags
    assert [name for name, _ in wild.attributes] == [name for name, _ in plain.attributes]
    assert not [name for name, _ in wild.attributes if name.startswith("on")]


def test_the_data_comes_back_as_it_went_in(hostile):
    elements = Elements(page(*hostile))
    data = json.loads(elements.scripts[0])
    assert [neuron["target"] for neuron in data["neurons"]] == [f"visual:{word}" for word in HOSTILE]
    assert len(elements.scripts) == 2


def test_only_the_page_s_own_script_may_run(hostile):
    text = page(*hostile)
    (allowed,) = re.findall(r"script-src &#39;sha256-(.*?)&#39;|script-src 'sha256-(.*?)'", text)
    digest = base64.b64encode(hashlib.sha256(Elements(text).scripts[1].encode()).digest()).decode()
    assert digest in allowed


def test_it_asks_no_one(hostile):
    elements = Elements(page(*hostile))
    assert not {"link", "img", "iframe", "object", "embed"}.intersection(tag for tag in elements.tags if tag != "link")
    sources = [value for name, value in elements.attributes if name in ("src", "href") and value]
    assert all(value.startswith(("#", "data:")) for value in sources)
    assert "http" not in re.sub(r"http://www\.w3\.org/2000/svg|http-equiv", "", elements.scripts[1])


def test_without_scripts_every_text_stands_in_a_table(hostile):
    kept, evidence = made_run(3)
    (table,) = re.findall(r"<noscript>(.*?)</noscript>", page(kept, evidence), flags=re.DOTALL)
    assert all(record.text in table for record in kept.records)


def test_320_neurons_by_five_methods_take_less_than_3_megabytes(tmp_path):
    write_report(*made_run(320), tmp_path / "report.html")
    assert (tmp_path / "report.html").stat().st_size < 3e6


def test_records_alone_make_a_page():
    kept, _ = made_run(3)
    data = json.loads(Elements(page(kept, [])).scripts[0])
    assert "words" not in data["neurons"][0]["texts"][0]
    assert data["neurons"][0]["texts"][0]["text"]


def test_a_study_that_is_not_ended_says_so():
    kept, _ = made_run(3)
    assert "not finished" in page(replace(kept, whole=False), [])
    assert "not finished" not in page(kept, [])


def test_without_corpus_search_nothing_is_compared():
    kept, _ = made_run(3)
    alone = replace(kept, records=[record for record in kept.records if record.method != "crp"])
    assert "nothing to compare with" in page(alone, [])


def test_a_neuron_the_corpus_does_not_wake_has_no_ratio():
    kept, evidence = made_run(3)
    sleepy = replace(kept, records=[replace(record, activation=min(record.activation, -1.0)) for record in kept.records])
    assert "nan" not in Elements(page(sleepy, evidence)).scripts[0].lower()
