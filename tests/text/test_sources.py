"""Texts in memory: lists, generators, rows, data sets and data frames are read again and again; what is no text is refused in one line."""

import hashlib
import itertools
import json

import numpy as np
import pandas
import polars
import pytest

from optigram.errors import InputError
from optigram.scanning.scan import _on_disk
from optigram.text import in_memory
from optigram.text.documents import Document
from optigram.text.shards import shards
from optigram.text.sources import open_corpus

TEXTS = ["a dog", "two\nlines", "caf\u00e9 \U0001f600", "a dog"]


class DataSet:
    """What `datasets.Dataset` offers and a corpus uses."""

    def __init__(self, rows, columns):
        self.rows, self.column_names = rows, columns

    def select_columns(self, names):
        return DataSet([{name: row[name] for name in names} for row in self.rows], names)

    def __len__(self):
        return len(self.rows)

    def __iter__(self):
        return iter(self.rows)


class Stream:
    """What `datasets.IterableDataset` offers: no length."""

    def __init__(self, rows, columns):
        self.rows, self.column_names = rows, columns

    def select_columns(self, names):
        return Stream([{name: row[name] for name in names} for row in self.rows], names)

    def __iter__(self):
        return iter(self.rows)


ROWS = [{"image": object(), "text": text, "label": 3} for text in TEXTS]


@pytest.mark.parametrize(
    "given",
    [
        TEXTS,
        tuple(TEXTS),
        np.array(TEXTS),
        (text for text in TEXTS),
        iter(TEXTS),
        [*TEXTS[:2], "  ", "", *TEXTS[2:]],
        ROWS,
        iter(ROWS),
        DataSet(ROWS, ["image", "text", "label"]),
        pandas.Series(TEXTS),
        polars.Series(TEXTS),
        pandas.DataFrame({"label": range(4), "text": TEXTS}),
        polars.DataFrame({"label": range(4), "text": TEXTS}),
    ],
    ids=lambda given: type(given).__name__,
)
def test_texts_in_memory_are_read_again_and_again(given):
    corpus = open_corpus(given)
    assert list(corpus.texts()) == list(corpus.texts()) == TEXTS
    assert corpus.fingerprint == hashlib.sha256("".join(text + "\n" for text in TEXTS).encode()).hexdigest()
    assert open_corpus(corpus) is corpus


def test_a_stream_is_kept():
    corpus = open_corpus(Stream(ROWS, ["image", "text", "label"]))
    assert list(corpus.texts()) == TEXTS
    assert corpus.name == "4 texts"


def test_a_generator_may_be_larger_than_memory_and_readers_may_take_turns(monkeypatch):
    monkeypatch.setattr(in_memory, "MEMORY", 1000)
    many = [f"text {number} {'x' * (number % 300)}" for number in range(20000)]
    corpus = open_corpus(text for text in many)
    assert corpus.held.file._rolled
    one, two = corpus.texts(), corpus.texts()
    assert [next(one) for _ in range(15000)] == many[:15000]
    assert list(two) == many
    assert list(one) == many[15000:]


def test_an_endless_iterable_is_refused(monkeypatch):
    monkeypatch.setattr(in_memory, "MOST", 1 << 20)
    with pytest.raises(InputError, match="at most 1 MB of texts, got more"):
        open_corpus(itertools.repeat("a dog"))


def test_a_column_of_rows_is_chosen_by_name():
    rows = [{"prompt": "a", "number": 1}]
    for given in (rows, iter(rows), DataSet(rows, ["prompt", "number"]), pandas.DataFrame(rows)):
        assert list(open_corpus(given, "prompt").texts()) == ["a"]
    for given in (rows, DataSet(rows, ["prompt", "number"]), pandas.DataFrame(rows)):
        with pytest.raises(InputError, match="has no column caption, text or sentence, it has prompt, number"):
            open_corpus(given)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (3, "got int"),
        (None, "got NoneType"),
        (b"a dog", "got bytes"),
        ({"train": ["a"], "test": ["b"]}, "got dict with train, test; give one of them"),
        ([3], "item 0 of the corpus: expected a text, a Path or a row, got int"),
        ([None], "item 0 of the corpus: .*, got NoneType"),
        (["a", None], "item 1 of the corpus: .*, got NoneType"),
        ([["a"]], "item 0 of the corpus: .*, got list"),
        (["a", "b \ud800 c"], "item 1 of the corpus: expected text, got half of a surrogate pair at character 2"),
        ([{"text": "a"}, {"caption": "b"}], "item 1 of the corpus: expected a column 'text', got caption"),
        ([{"text": b"caf\xe9"}], "item 0 of the corpus: expected UTF-8, got byte 0xe9 at 3"),
        ([], "is empty"),
        (["", " "], "is empty"),
        (iter([]), "is empty"),
        (["hf:stas/openwebtext-10k"], "give Path"),
        (["captions.jsonl", "more.txt.gz"], "give Path"),
        (pandas.DataFrame({"text": [1, 2]}), "got int"),
        ([{"text": 3}], "item 0 of the corpus: expected text in column 'text', got int"),
    ],
)
def test_what_is_no_text_is_one_line(given, said):
    with pytest.raises(InputError, match=said) as error:
        list(open_corpus(given).texts())
    assert "\n" not in str(error.value)


def test_a_column_that_was_chosen_among_several_is_said():
    rows = [{"label": 1, "text": "t", "caption": "c"}]
    for given in (rows, iter(rows), DataSet(rows, list(rows[0])), pandas.DataFrame(rows)):
        corpus = open_corpus(given)
        assert list(corpus.texts()) == ["c"]
        (said,) = corpus.remarks
        assert "has the columns caption, text; caption is read, choose another" in said
    for given in (rows, iter(rows), DataSet(rows, list(rows[0])), pandas.DataFrame(rows)):
        assert open_corpus(given, "text").remarks == ()


def test_paths_in_a_list_are_files(tmp_path):
    for name in ("a", "b"):
        (tmp_path / f"{name}.txt").write_text(f"text {name}\n")
    paths = [tmp_path / "b.txt", tmp_path / "a.txt"]
    assert list(open_corpus(paths).texts()) == list(open_corpus(iter(paths)).texts()) == ["text b", "text a"]
    assert sorted(open_corpus(str(tmp_path / "*.txt")).texts()) == ["text a", "text b"]
    assert open_corpus(paths).name == f"{paths[0]} + {paths[1]}"
    with pytest.raises(InputError, match="a list of strings is a list of texts"):
        open_corpus(list(map(str, paths)))
    with pytest.raises(InputError, match="texts or Paths, got both"):
        open_corpus(["a dog", *paths])


def test_texts_in_memory_are_put_on_disk_once(tmp_path):
    corpus = open_corpus(TEXTS)
    known = _on_disk(corpus, tmp_path)
    (path,) = tmp_path.iterdir()
    assert [json.loads(line)["text"] for line in path.read_text().splitlines()] == TEXTS
    stamp = path.stat().st_mtime_ns
    assert _on_disk(open_corpus(iter(TEXTS)), tmp_path) == known
    assert path.stat().st_mtime_ns == stamp
    assert [document.text for part in shards(known, 1, 0)[0] for document in Document.all_of(known, part)] == TEXTS
    _on_disk(open_corpus(TEXTS[:2]), tmp_path)
    assert len(list(tmp_path.iterdir())) == 2
