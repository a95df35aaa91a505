"""Data sets as the library datasets streams them, here from a folder of files: the same rows in any shards."""

import json

from optigram.text.documents import Document
from optigram.text.shards import shards
from optigram.text.sources import Corpus, open_corpus


def test_a_data_set_is_streamed_shard_by_shard(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    data = tmp_path / "data"
    data.mkdir()
    for file in range(3):
        rows = (json.dumps({"text": f"text {file} {row}"}) + "\n" for row in range(5))
        (data / f"train-{file}.jsonl").write_text("".join(rows))
    known = Corpus.of([f"hf:{data}"]).sources
    assert known[0].size == 3
    found = [document for shard in shards(known, 2, 0) for part in shard for document in Document.all_of(known, part)]
    assert sorted(document.text for document in found) == sorted(f"text {file} {row}" for file in range(3) for row in range(5))
    assert len({document.number for document in found}) == 15
    assert sorted(open_corpus(f"hf:{data}").texts()) == sorted(document.text for document in found)
    assert list(Document.fetch(known, [found[7].number])) == [found[7]]
