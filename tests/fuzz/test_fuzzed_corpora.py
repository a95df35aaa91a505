"""Corpora of every format, whole and damaged: read as what was written, the same in any shards, or refused in one line."""

import bz2
import csv
import gzip
import io
import json
import lzma

import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
from inputs import ODD, assert_one_line, mutated_bytes, mutated_value, numbered, odd

from optigram.errors import InputError
from optigram.text.documents import Document
from optigram.text.shards import shards
from optigram.text.sources import Corpus, open_corpus

FULL, SHARE = 5_000, 200
PACKERS = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}
WORDS = ["a dog", "two cats,", 'a "b" c', "caf\u00e9", "\u732b", "1", "=1", "-", "null", "a\tb", "x" * 50, "e\u0301", "\U0001f600"]
TYPES = [pa.string(), pa.large_string(), pa.binary(), pa.dictionary(pa.int8(), pa.string())]


def texts_of(chance) -> list[str]:
    return [" ".join(chance.choices(WORDS, k=chance.randint(1, 5))) for _ in range(chance.randint(1, 12))]


def written(chance, kind: str, texts: list[str]) -> bytes:
    """A file of this kind with the texts."""
    column = chance.choice(["text", "caption", "sentence"])
    end = chance.choice(["\n", "\r\n", "\r"])
    match kind:
        case "txt":
            return end.join(texts).encode()
        case "jsonl" | "ndjson":
            return end.join(json.dumps({"image": str(i), column: text}) for i, text in enumerate(texts)).encode()
        case "json":
            rows = [{"image_id": i, column: text} for i, text in enumerate(texts)]
            return json.dumps({"annotations": rows} if chance.random() < 0.7 else rows).encode()
        case "parquet":
            table, file = pa.table({"id": range(len(texts)), column: pa.array(texts).cast(chance.choice(TYPES))}), io.BytesIO()
            parquet.write_table(table, file, row_group_size=chance.randint(1, 8))
            return file.getvalue()
    file = io.StringIO(newline="")
    writer = csv.writer(file, delimiter="\t" if kind == "tsv" else ",", lineterminator=end)
    writer.writerows([["image", column], *([str(i), text] for i, text in enumerate(texts))])
    return file.getvalue().encode()


def damaged(chance, kind: str, data: bytes) -> bytes:
    if kind in ("jsonl", "ndjson", "json") and chance.random() < 0.5:
        lines = [json.loads(line) for line in (data.splitlines() if kind != "json" else [data])]
        place = chance.randrange(len(lines))
        lines[place] = mutated_value(chance, lines[place], ["text", "caption"])
        return "\n".join(map(json.dumps, lines)).encode()
    if chance.random() < 0.3 and kind != "parquet":
        return data + odd(chance).encode("utf-8", "surrogatepass") + data
    return mutated_bytes(chance, data)


def read(path, count: int, tell=None):
    known = Corpus.of([str(path)]).sources
    found = []
    for part in (part for shard in shards(known, count, 1) for part in shard):
        found += Document.all_of(known, part) if tell is None else Document.all_of(known, part, tell)
    return found


@pytest.mark.parametrize("kind", ["txt", "jsonl", "ndjson", "json", "csv", "tsv", "parquet"])
def test_a_corpus_is_read_as_it_was_written_or_refused(tmp_path, kind):
    for number, chance in numbered(FULL // 7 + 1, SHARE // 7 + 1):
        texts = texts_of(chance)
        data = written(chance, kind, texts)
        whole = chance.random() < 0.3
        data = data if whole else damaged(chance, kind, data)
        bom = b"\xef\xbb\xbf" if chance.random() < 0.15 and kind != "parquet" else b""
        packed = chance.choice(["", "", *PACKERS]) if kind != "parquet" else ""
        name = f"{number}.{kind.upper() if chance.random() < 0.2 else kind}"
        path = tmp_path / (f"{name}.{packed}" if packed else name)
        path.write_bytes(PACKERS[packed](bom + data) if packed else bom + data)
        if whole:
            assert [document.text for document in read(path, 1)] == texts, (number, data)
        try:
            opened = open_corpus(path)
            list(opened.documents())
        except InputError as error:
            assert not whole, (number, data)
            assert_one_line(error)
        check_skipping(path, number)
        path.unlink()


def check_skipping(path, number: int) -> None:
    """What can be read is the same in any shards, and found again by its number."""
    bad: list[str] = []
    try:
        found = read(path, 1, bad.append)
    except InputError as error:
        assert_one_line(error)
        return
    assert read(path, 3, lambda said: None) == found, number
    assert len({document.number for document in found}) == len(found), number
    for document in found:
        assert document.text.strip()
        document.text.encode()
    chosen = found[:: max(len(found) // 3, 1)]
    assert list(Document.fetch(Corpus.of([str(path)]).sources, [document.number for document in chosen])) == chosen, number


def test_objects_in_memory_are_read_or_refused():
    for _, chance in numbered(2_000, 300):
        base = [{"text": "a", "id": 1}, {"text": "b", "id": 2}] if chance.random() < 0.5 else ["a", "b c", chance.choice(ODD)]
        given = mutated_value(chance, base)
        if isinstance(given, str):  # the name of a file
            continue
        try:
            assert all(isinstance(text, str) for text in open_corpus(given).texts())
        except InputError as error:
            assert_one_line(error)
