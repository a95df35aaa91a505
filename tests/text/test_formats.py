"""Every format gives the same texts and images; bad files, columns and values are refused in one line."""

import bz2
import gzip
import json
import lzma
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

from optigram.errors import InputError
from optigram.text.formats import file_format
from optigram.text.sources import open_corpus

CAPTIONS = ["A man rides.", "Two dogs, one cat!"]
IMAGES = ["7.jpg", "8.jpg"]
PACKERS = {"": bytes, "gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}


def content(kind: str) -> bytes:
    match kind:
        case "txt":
            return f"{CAPTIONS[0]}\n\n{CAPTIONS[1]}\n".encode()
        case "csv":
            return b'image,caption\n7.jpg,A man rides.\n8.jpg,"Two dogs, one cat!"\n'
        case "tsv":
            return b"image\tcaption\n7.jpg\tA man rides.\n8.jpg\tTwo dogs, one cat!\n"
        case "jsonl" | "ndjson":
            rows = zip(CAPTIONS, IMAGES, strict=True)
            return "".join(json.dumps({"text": text, "image": image}) + "\n" for text, image in rows).encode()
        case "json":
            rows = [{"image_id": image, "id": i, "caption": CAPTIONS[i]} for i, image in enumerate(IMAGES)]
            return json.dumps({"annotations": rows}).encode()
    raise AssertionError(kind)


@pytest.mark.parametrize("packed", PACKERS)
@pytest.mark.parametrize("kind", ["txt", "csv", "tsv", "jsonl", "ndjson", "json"])
@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
def test_every_format_gives_the_same_texts_and_images(tmp_path, kind, packed, bom):
    path = tmp_path / ".".join(["corpus", kind.upper() if bom else kind, *filter(None, [packed])])
    path.write_bytes(PACKERS[packed](bom + content(kind)))
    found = list(open_corpus(path).documents())
    assert [document.text for document in found] == CAPTIONS
    assert [document.image for document in found] == ([None, None] if kind == "txt" else IMAGES)


def test_parquet_gives_the_same_and_reads_no_other_column(tmp_path):
    path = tmp_path / "corpus.parquet"
    parquet.write_table(pa.table({"caption": CAPTIONS, "image_id": IMAGES, "other": [b"a", b"b"]}), path)
    assert [(document.text, document.image) for document in open_corpus(path).documents()] == list(zip(CAPTIONS, IMAGES, strict=True))


def test_formats_are_known_by_their_ending_in_any_case():
    names = ["a.JSONL", "a.ndjson.GZ", "a.Tsv", "a.csv.bz2", "a.parquet", "a.json.xz", "a.txt", "a.b", "a"]
    kinds = ["jsonl", "jsonl", "tsv", "csv", "parquet", "coco", "lines", "lines", "lines"]
    assert [file_format(Path(name))[0] for name in names] == kinds


@pytest.mark.parametrize("kind", ["csv", "jsonl", "json", "parquet"])
def test_a_column_is_chosen_by_name(tmp_path, kind):
    path, rows = tmp_path / f"corpus.{kind}", [{"text": "t", "prompt": "p", "number": 1}]
    match kind:
        case "csv":
            path.write_text("text,prompt,number\nt,p,1\n")
        case "jsonl" | "json":
            path.write_text(json.dumps(rows[0] if kind == "jsonl" else rows))
        case "parquet":
            parquet.write_table(pa.Table.from_pylist(rows), path)
    assert list(open_corpus(path).texts()) == ["t"]
    assert list(open_corpus(path, "prompt").texts()) == list(open_corpus(f"{path}::prompt").texts()) == ["p"]
    with pytest.raises(InputError, match=r"has no column 'promt', it has text, prompt, number; choose one"):
        list(open_corpus(path, "promt").texts())
    if kind != "csv":
        with pytest.raises(InputError, match=r"expected text in column 'number' of .*, got int; choose another column"):
            list(open_corpus(path, "number").texts())


def test_the_known_columns_are_tried_in_order(tmp_path):
    path = tmp_path / "corpus.csv"
    path.write_text("sentence,text,caption\ns,t,c\n")
    assert list(open_corpus(path).texts()) == ["c"]
    path.write_text("sentence,text\ns,t\n")
    assert list(open_corpus(path).texts()) == ["t"]


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("missing.txt", None, "no corpus file"),
        ("empty.txt", b"", "is empty"),
        ("blank.txt", b"\n \n", "is empty"),
        ("blank.csv", b"text\n", "is empty"),
        ("binary.txt", b"\x89PNG\0\0", "binary"),
        ("wide.csv", "text\na\n".encode("utf-16"), "binary"),
        ("latin.txt", "caf\u00e9".encode("latin-1"), "at byte 3: it is not UTF-8"),
        ("torn.json", b'{"annotations": [', "cannot read"),
        ("other.json", b'{"images": []}', "a list of captions under 'annotations'"),
        ("other.csv", b"a,b\n1,2\n", "has no column caption, text or sentence, it has a, b"),
        ("torn.jsonl", b'{"text": "a"}\n{"te', "at byte 14: it is not a JSON object"),
        ("list.jsonl", b'["a"]\n', "at byte 0: it is not a JSON object"),
        ("torn.parquet", b"PAR1 and nothing", "cannot read"),
        ("torn.txt.gz", b"\x1f\x8b nothing", "cannot read"),
        ("plain.txt::text", b"", "no corpus file"),
    ],
)
def test_a_bad_source_is_one_line(tmp_path, name, data, said):
    path = tmp_path / name
    if data is not None and "::" not in name:
        path.write_bytes(data)
    with pytest.raises(InputError, match=said) as error:
        list(open_corpus(path).documents())
    assert "\n" not in str(error.value)


def test_plain_text_has_no_columns(tmp_path):
    (tmp_path / "a.txt").write_text("a b\n")
    with pytest.raises(InputError, match="plain text, which has no column 'text'"):
        open_corpus(f"{tmp_path / 'a.txt'}::text")


def test_a_file_with_colons_in_its_name_is_that_file(tmp_path):
    (tmp_path / "a::b.txt").write_text("a b\n")
    assert list(open_corpus(tmp_path / "a::b.txt").texts()) == ["a b"]
