"""Documents of every format, each read once whatever the shards; bad input is named, and passed over only when that is asked for."""

import bz2
import gzip
import json
import lzma

import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

from optigram.errors import InputError
from optigram.text.documents import Document
from optigram.text.lines import LONGEST
from optigram.text.shards import shards
from optigram.text.sources import Corpus, changed

TEXTS = [f"text {i}, {'wörter ' * (i % 7)}" for i in range(200)]
PACKERS = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}


def write(folder, kind, texts=TEXTS, row_group=16):
    path = folder / f"corpus.{kind}"
    plain, _, packed = kind.partition(".")
    match plain:
        case "txt":
            data = "\n".join([*texts[:3], "", *texts[3:]]).encode()
        case "jsonl":
            data = "".join(json.dumps({"text": text}) + "\n" for text in texts).encode()
        case "csv":
            data = ("image,caption\n" + "".join(f'{i}.jpg,"{text}"\n' for i, text in enumerate(texts))).encode()
        case "json":
            data = json.dumps({"annotations": [{"caption": text} for text in texts]}).encode()
        case "parquet":
            parquet.write_table(pa.table({"text": texts}), path, row_group_size=row_group)
            return path
    path.write_bytes(PACKERS[packed](data) if packed else data)
    return path


def read_all(known, cut, tell=None):
    found = []
    for shard in cut:
        for part in shard:
            found += Document.all_of(known, part) if tell is None else Document.all_of(known, part, tell)
    return found


@pytest.mark.parametrize("kind", ["txt", "jsonl", "csv", "json", "parquet", "txt.gz", "jsonl.bz2", "csv.xz"])
def test_every_format_gives_each_document_once_in_any_shards(tmp_path, kind):
    known = Corpus.of([str(write(tmp_path, kind))]).sources
    whole = read_all(known, shards(known, 1, 0))
    assert [document.text for document in whole] == TEXTS
    assert len({document.number for document in whole}) == len(TEXTS)
    for count in (2, 8, 50):
        cut = shards(known, count, 0)
        assert len(cut) == count
        assert read_all(known, cut) == whole
    wanted = whole[5::31]
    assert list(Document.fetch(known, [document.number for document in reversed(wanted)])) == wanted


def test_many_files_and_globs_make_one_corpus(tmp_path):
    for number in range(3):
        (tmp_path / f"{number}.txt").write_text("".join(f"{number} {i}\n" for i in range(10)))
    known = Corpus.of([str(tmp_path / "*.txt"), str(tmp_path / "0.txt")]).sources
    assert len(known) == 3
    assert [document.text for document in read_all(known, shards(known, 4, 0))] == [f"{n} {i}" for n in range(3) for i in range(10)]
    with pytest.raises(InputError, match="no corpus file"):
        Corpus.of([str(tmp_path / "*.csv")])


@pytest.mark.parametrize("kind", ["txt", "jsonl", "parquet"])
def test_a_line_of_50_mb_is_read_in_pieces(tmp_path, kind):
    long = "wört " * (50 << 20 >> 2 >> (2 if kind != "txt" else 0))
    path = write(tmp_path, kind, ["before", long, "after"])
    known = Corpus.of([str(path)]).sources
    found = read_all(known, shards(known, 3, 0))
    assert "".join(document.text for document in found[1:-1]).strip() == long.strip()
    assert all(len(document.text) <= LONGEST for document in found)
    assert [found[0].text, found[-1].text] == ["before", "after"]
    assert len({document.number for document in found}) == len(found)
    assert list(Document.fetch(known, [found[2].number])) == [found[2]]


def test_a_word_longer_than_a_document_is_cut_between_characters(tmp_path):
    path = tmp_path / "corpus.txt"
    path.write_text("ö" * LONGEST)
    known = Corpus.of([str(path)]).sources
    assert "".join(document.text for document in read_all(known, shards(known, 1, 0))) == "ö" * LONGEST


@pytest.mark.parametrize(("kind", "said"), [("parquet", "row group"), ("txt.gz", "after byte"), ("jsonl.gz", "after byte")])
def test_a_corrupt_middle_is_named_and_skipped_only_if_asked(tmp_path, kind, said):
    path = write(tmp_path, kind, [f"{i} " + "abc" * i for i in range(500)], 50)
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 40] = bytes(40)
    path.write_bytes(data)
    known = Corpus.of([str(path)]).sources
    cut = shards(known, 3, 0)
    with pytest.raises(InputError, match=said) as error:
        read_all(known, cut)
    assert str(path) in str(error.value)
    bad: list[str] = []
    found = read_all(known, cut, bad.append)
    assert 10 < len(found) < 500
    assert len(bad) >= 1


def test_invalid_utf8_is_named_by_its_byte(tmp_path):
    path = tmp_path / "corpus.txt"
    path.write_bytes(b"fine\nb\xffd\nfine too\n")
    known = Corpus.of([str(path)]).sources
    with pytest.raises(InputError, match="at byte 6: it is not UTF-8"):
        read_all(known, shards(known, 1, 0))
    bad: list[str] = []
    assert [document.text for document in read_all(known, shards(known, 2, 0), bad.append)] == ["fine", "fine too"]
    assert len(bad) == 1


def test_a_changed_file_is_noticed(tmp_path):
    path = write(tmp_path, "txt")
    (source,) = Corpus.of([str(path)]).sources
    assert not changed(source)
    path.write_text(path.read_text().replace("text 100", "TEXT 100"))
    assert changed(source)
    path.unlink()
    assert changed(source)


def test_numbers_say_where_a_document_stands(tmp_path):
    path = write(tmp_path, "txt")
    known = Corpus.of([str(path)]).sources
    document = read_all(known, shards(known, 1, 0))[150]
    source, place = Document.place_of(document.number)
    assert source == 0
    assert path.read_bytes()[place:].startswith(document.text.encode())
