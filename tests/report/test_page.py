"""The page of a run: what it holds, that it needs nothing else, and that no word of a model becomes markup."""

import base64
import hashlib
import json
import re
from dataclasses import replace

import numpy as np
import pytest

from elements import Elements
from made_runs import HOSTILE, made_run
from optigram.report.html import _page
from optigram.report.overview import overview


@pytest.fixture(scope="module")
def hostile():
    return made_run(len(HOSTILE), HOSTILE)


def test_the_data_comes_back_as_it_went_in(hostile):
    elements = Elements(_page(*hostile))
    data = json.loads(elements.scripts[0])
    assert [neuron["target"] for neuron in data["neurons"]] == [f"visual:{word}" for word in HOSTILE]
    assert len(elements.scripts) == 2


def test_only_the_page_s_own_script_may_run(hostile):
    text = _page(*hostile)
    (allowed,) = re.findall(r"script-src &#39;sha256-(.*?)&#39;|script-src 'sha256-(.*?)'", text)
    digest = base64.b64encode(hashlib.sha256(Elements(text).scripts[1].encode()).digest()).decode()
    assert digest in allowed


def test_it_asks_no_one(hostile):
    elements = Elements(_page(*hostile))
    assert not {"link", "img", "iframe", "object", "embed"}.intersection(tag for tag in elements.tags if tag != "link")
    sources = [value for name, value in elements.attributes if name in ("src", "href") and value]
    assert all(value.startswith(("#", "data:")) for value in sources)
    assert "http" not in re.sub(r"http://www\.w3\.org/2000/svg|http-equiv", "", elements.scripts[1])


def test_without_scripts_every_text_stands_in_a_table(hostile):
    kept, evidence = made_run(3)
    (table,) = re.findall(r"<noscript>(.*?)</noscript>", _page(kept, evidence), flags=re.DOTALL)
    assert all(record.text in table for record in kept.records)


def test_records_alone_make_a_page():
    kept, _ = made_run(3)
    data = json.loads(Elements(_page(kept, [])).scripts[0])
    assert "words" not in data["neurons"][0]["texts"][0]
    assert data["neurons"][0]["texts"][0]["text"]


def test_a_study_that_is_not_ended_says_so():
    kept, _ = made_run(3)
    assert "not finished" in _page(replace(kept, whole=False), [])
    assert "not finished" not in _page(kept, [])


def test_without_corpus_search_nothing_is_compared():
    kept, _ = made_run(3)
    alone = replace(kept, records=[record for record in kept.records if record.method != "crp"])
    assert "there is no comparison" in _page(alone, [])


def test_a_neuron_the_corpus_does_not_wake_has_no_ratio():
    kept, evidence = made_run(3)
    sleepy = replace(kept, records=[replace(record, activation=min(record.activation, -1.0)) for record in kept.records])
    assert "nan" not in Elements(_page(sleepy, evidence)).scripts[0].lower()


def test_every_method_is_compared_and_few_neurons_give_no_percentage():
    few, _ = made_run(3)
    told = overview(few, [])
    assert told["lead"].startswith("What text makes 3 neurons of tiny fire most? Texts by crp, emb, logit, smx, gbl;")
    rows = [row for part in told["parts"] for panel in part.panels for row in panel.rows]
    assert [row.method for row in rows] == ["emb", "logit", "smx", "gbl"]
    won = sum(record.activation > base.activation for record in few.records for base in few.records if _pair(record, base))
    assert rows[-1].wins.startswith(f"{won} of 3 [0.")
    assert "%" not in "".join(row.wins for row in rows)
    ((many,),) = [part.panels for part in overview(made_run(12)[0], [])["parts"]]
    assert re.search(r"\d% \[\d+%, \d+%\]", many.rows[0].wins)


def _pair(record, base):
    return (record.method, base.method) == ("gbl", "crp") and record.target == base.target


@pytest.mark.parametrize(("corpus", "sampled"), [(None, True), ("sampled:500", True), ("captions.txt", False)])
def test_a_sampled_corpus_is_called_so(corpus, sampled):
    kept, evidence = made_run(2)
    settings = kept.manifest["settings"] | {"corpus": corpus}
    text = _page(replace(kept, manifest=kept.manifest | {"settings": settings}), evidence)
    assert json.loads(Elements(text).scripts[0])["sampled"] is sampled
    assert ("sampled from the model itself" in text) is sampled
    assert "written" not in text
    assert "somebody" not in text


def test_a_chain_s_cost_and_curve_count_its_corpus_search():
    kept, _ = made_run(2)
    notes = {"corpus_forwards": 50_000.0}
    records = [replace(one, method="auto", notes=notes) if one.method == "gbl" else one for one in kept.records]
    neuron = json.loads(Elements(_page(replace(kept, records=records), [])).scripts[0])["neurons"][0]
    (auto,) = [text for text in neuron["texts"] if text["series"] == 4]
    assert auto["cost"] == 52_400
    assert auto["trace"][0][0] == 50_010
    own = 2 * 5 * 2400
    assert overview(replace(kept, records=records), [])["facts"]["cost"] == f"{own:,} forward-equivalents"  # crp's search is auto's own
    alone = [one for one in records if one.method == "auto"]
    assert overview(replace(kept, records=alone), [])["facts"]["cost"] == f"{2 * 52_400:,} forward-equivalents"


def test_a_template_is_shown_around_the_free_words():
    kept, evidence = made_run(1)
    whole = [_under(record) for record in kept.records]
    text = _page(replace(kept, records=whole), evidence)
    first = json.loads(Elements(text).scripts[0])["neurons"][0]["texts"][0]
    assert first["text"] == f"a {kept.records[0].text} b"
    assert [piece for piece, free in first["pieces"] if free] == [kept.records[0].text]
    assert first["fixed"] == [0, 6]
    assert first["words"][1:6] == list(kept.records[0].tokens)
    assert f"a <b>{kept.records[0].text}</b> b" in text


def _under(record):
    ends = np.cumsum([len(word) + 1 for word in record.tokens]).tolist()
    free = [[end - len(word) + 1, end + 1] for word, end in zip(record.tokens, ends, strict=True)]
    return replace(record, whole=f"a {record.text} b", free=free)


def test_the_page_says_when_the_best_text_is_the_best_after_penalties():
    kept, _ = made_run(2)
    assert "less the penalties" not in _page(kept, [])
    fluent = [replace(record, trace=[[1.0, 5.0, 3.0]]) for record in kept.records]
    assert "less the penalties" in _page(replace(kept, records=fluent), [])
