"""Every format gives the same texts and images; bad files, columns and values are refused in one line."""

import bz2
import gzip
import json
import lzma
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

from optigram.errors import InputError
from optigram.text.documents import Document
from optigram.text.formats import WHOLE, Part, Source
from optigram.text.lines import LONGEST
from optigram.text.shards import shards
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
    assert [Source.format_of(Path(name))[0] for name in names] == kinds


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
        with pytest.raises(InputError, match=r"expected text in column 'number'.*, got int"):
            list(open_corpus(path, "number").texts())


def test_the_known_columns_are_tried_in_order(tmp_path):
    path = tmp_path / "corpus.csv"
    path.write_text("sentence,text,caption\ns,t,c\n")
    assert list(open_corpus(path).texts()) == ["c"]
    path.write_text("sentence,text\ns,t\n")
    assert list(open_corpus(path).texts()) == ["t"]


def test_a_column_that_was_chosen_among_several_is_said(tmp_path):
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text("sentence,text,caption\ns,t,c\n")
    corpus = open_corpus(tmp_path / "*.csv")
    (said,) = corpus.remarks
    assert said.startswith(f"{str(tmp_path / 'a.csv')!r} has the columns caption, text, sentence; caption is read, choose another with")
    assert {source.column for source in corpus.sources} == {"caption"}
    assert open_corpus(f"{tmp_path}/*.csv::text").remarks == ()


def test_one_column_of_json_lines_is_read_whatever_the_rows_and_the_shards(tmp_path):
    """A later row with another known column must not give its text from there."""
    path = tmp_path / "corpus.jsonl"
    rows = [{"meta": 1}, *({"text": f"text {i}"} | ({"caption": "no"} if i % 3 else {}) for i in range(50))]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    (source,) = open_corpus(path).sources
    for count in (1, 7):
        bad: list[str] = []
        read = [text.text for shard in shards([source], count, 1) for part in shard for text in Document.all_of([source], part, bad.append)]
        assert read == [f"text {i}" for i in range(50)]
        assert bad == [f"{path} at byte 0 (expected a column 'text', got meta)"]


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([{"en": "a"}], pa.struct({"en": pa.string()})),
        ([["a"]], pa.list_(pa.string())),
        ([[("a", "b")]], pa.map_(pa.string(), pa.string())),
        ([1.5], pa.float64()),
        ([True], pa.bool_()),
    ],
)
def test_a_column_of_no_texts_is_refused(tmp_path, values, kind):
    path = tmp_path / "corpus.parquet"
    parquet.write_table(pa.table({"text": pa.array(values, kind)}), path)
    with pytest.raises(InputError, match=r"expected text in column 'text' of .*, got .*; choose another column"):
        open_corpus(path)


@pytest.mark.parametrize(
    "kind", [pa.large_string(), pa.string_view(), pa.binary(), pa.large_binary(), pa.dictionary(pa.int8(), pa.string())]
)
def test_every_type_of_text_is_decoded(tmp_path, kind):
    path = tmp_path / "corpus.parquet"
    parquet.write_table(pa.table({"text": pa.array(["caf\u00e9", None, "b"]).cast(kind)}), path)
    assert list(open_corpus(path).texts()) == ["caf\u00e9", "b"]


def test_bytes_that_are_no_text_are_named(tmp_path):
    path = tmp_path / "corpus.parquet"
    parquet.write_table(pa.table({"text": [b"a", b"\xff"]}), path)
    with pytest.raises(InputError, match=r"at row 1 \(expected UTF-8, got byte 0xff at 0\)"):
        list(open_corpus(path).texts())


@pytest.mark.parametrize("end", ["\r", "\r\n", "\n", "\r\r\n"])
@pytest.mark.parametrize("kind", ["txt", "jsonl", "csv"])
def test_every_end_of_line_ends_a_line(tmp_path, kind, end):
    path, texts = tmp_path / f"corpus.{kind}", [f"text {i}" for i in range(20)]
    lines = {"txt": texts, "jsonl": [json.dumps({"text": text}) for text in texts], "csv": ["text", *texts]}[kind]
    path.write_bytes(end.join(lines).encode())
    (source,) = open_corpus(path).sources
    for count in (1, 3):
        found = [text for shard in shards([source], count, 1) for part in shard for text in Document.all_of([source], part)]
        assert [text.text for text in found] == texts
    assert len({text.number for text in found}) == len(texts)
    assert list(Document.fetch([source], [found[7].number])) == [found[7]]


def test_a_long_file_of_carriage_returns_is_cut_between_lines(tmp_path):
    path, texts = tmp_path / "corpus.txt", [f"a text of number {i}" for i in range(80000)]
    path.write_text("\r".join(texts))
    assert path.stat().st_size > LONGEST
    assert list(open_corpus(path).texts()) == texts


def test_a_long_field_is_read(tmp_path):
    path = tmp_path / "corpus.csv"
    path.write_text(f"text\n{'x' * 200_000}\n")
    assert list(open_corpus(path).texts()) == ["x" * 200_000]


ROWS = {
    "extra.csv": (b"image,text\n1,a\n2,b, c\n3,d\n", "at row 1 (3 fields, but 2 in the header", ["a", "d"]),
    "short.csv": (b"image,text\n1,a\n2\n3,d\n", "at row 1 (expected a column 'text', got image)", ["a", "d"]),
    "quote.csv": (b'image,text\n1,a\n2,"b" c\n3,d\n', "at row 1 (',' expected after '\"')", ["a", "d"]),
    "open.csv": (b'image,text\n1,a\n3,d\n2,"b\n', "at row 2 (unexpected end of data)", ["a", "d"]),
    "half.jsonl": (
        b'{"text": "a"}\n{"text": "\\ud800"}\n{"text": "d"}\n',
        "at byte 14 (expected text, got half of a surrogate",
        ["a", "d"],
    ),
    "deep.jsonl": (b'{"text": "a"}\n' + b"[" * 100_000 + b'\n{"text": "d"}\n', "at byte 14: it is not a JSON object", ["a", "d"]),
    "digits.jsonl": (b'{"text": "a"}\n{"n": ' + b"9" * 5000 + b'}\n{"text": "d"}\n', "at byte 14: it is not a JSON object", ["a", "d"]),
    "number.jsonl": (b'{"text": "a"}\n{"text": 3}\n{"text": "d"}\n', "at byte 14 (expected text in column 'text', got int)", ["a", "d"]),
    "keys.json": (b'[{"id": 1}, {"caption": "a"}, {"caption": "d"}]', "at row 0 (expected a column 'caption', got id)", ["a", "d"]),
    "deep.json": (b'{"annotations": ' + b"[" * 100_000, "nested too deep", []),
}


@pytest.mark.parametrize("name", ROWS)
def test_a_bad_row_is_named_and_skipped_alone_if_asked(tmp_path, name):
    data, said, rest = ROWS[name]
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(InputError, match=re.escape(said)) as error:
        list(open_corpus(path).documents())
    assert "\n" not in str(error.value)
    (source,) = open_corpus(path).sources
    bad: list[str] = []
    assert [text.text for text in Document.all_of([source], Part(0, 0, WHOLE), bad.append)] == rest
    assert len(bad) == 1
    assert said in bad[0]


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("missing.txt", None, "no corpus file"),
        ("empty.txt", b"", "is empty"),
        ("blank.txt", b"\n \n", "is empty"),
        ("blank.csv", b"text\n", "is empty"),
        ("binary.txt", b"\x89PNG\0\0", "binary"),
        ("wide.csv", "text\na\n".encode("utf-16-le"), "binary"),
        ("latin.txt", "caf\u00e9".encode("latin-1"), "at byte 3: it is not UTF-8"),
        ("torn.json", b'{"annotations": [', "cannot read"),
        ("other.json", b'{"images": []}', "a list of captions under 'annotations'"),
        ("other.csv", b"a,b\n1,2\n", "has no column caption, text or sentence, it has a, b"),
        ("torn.jsonl", b'{"text": "a"}\n{"te', "at byte 14: it is not a JSON object"),
        ("list.jsonl", b'["a"]\n', "at byte 0: it is not a JSON object"),
        ("torn.parquet", b"PAR1 and nothing", "cannot read"),
        ("torn.txt.gz", b"\x1f\x8b nothing", "cannot read"),
        ("plain.txt::text", b"", "no corpus file"),
        ("twice.csv", b"text,text\na,b\n", "has 2 columns 'text'; rename all but one"),
        ("wide.txt", "\u4e00\u4e01\n".encode("utf-16"), "is text in UTF-16 or UTF-32; save it as UTF-8"),
        ("x" * 300, None, "no corpus file"),
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
