import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

from optigram.errors import InputError
from optigram.text.formats import Sentence, ngrams, sampled_count, sentences
from optigram.text.vocabulary import word_vocabulary

CAPTIONS = ["A man rides.", "Two dogs, one cat!"]


def write(path, kind):
    match kind:
        case "txt":
            path.write_text("\n".join([CAPTIONS[0], "", CAPTIONS[1]]) + "\n")
        case "csv":
            path.write_text('image,caption\n7.jpg,A man rides.\n8.jpg,"Two dogs, one cat!"\n')
        case "jsonl":
            path.write_text("".join(json.dumps({"text": text, "image": f"{7 + i}.jpg"}) + "\n" for i, text in enumerate(CAPTIONS)))
        case "parquet":
            parquet.write_table(pa.table({"caption": CAPTIONS, "image_id": ["7.jpg", "8.jpg"]}), path)
        case "json":
            rows = [{"image_id": f"{7 + i}.jpg", "id": i, "caption": text} for i, text in enumerate(CAPTIONS)]
            path.write_text(json.dumps({"annotations": rows}))


@pytest.mark.parametrize("kind", ["txt", "csv", "jsonl", "parquet", "json"])
def test_every_format_gives_the_same_sentences(tmp_path, kind):
    path = tmp_path / f"corpus.{kind}"
    write(path, kind)
    images = [None, None] if kind == "txt" else ["7.jpg", "8.jpg"]
    assert list(sentences(str(path))) == [Sentence(text, image) for text, image in zip(CAPTIONS, images, strict=True)]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("missing.txt", None, "no corpus file"),
        ("empty.txt", b"", "is empty"),
        ("blank.txt", b"\n \n", "is empty"),
        ("binary.txt", b"\x89PNG\0\0", "binary"),
        ("latin.txt", "caf\u00e9".encode("latin-1"), "cannot read"),
        ("torn.json", b'{"annotations": [', "cannot read"),
        ("other.json", b'{"images": []}', "no COCO captions"),
        ("other.csv", b"a,b\n1,2\n", "has no column"),
        ("torn.jsonl", b'{"text": "a"}\n{"te', "cannot read"),
        ("torn.parquet", b"PAR1 and nothing", "cannot read"),
    ],
)
def test_a_bad_source_is_one_line(tmp_path, name, content, said):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=said) as error:
        list(sentences(str(path)))
    assert "\n" not in str(error.value)


def test_ngrams_are_unique_sorted_and_within_a_sentence():
    vocabulary = word_vocabulary(("a", "b", "c"))
    found = ngrams(["a b a b", "b a c", "a zebra b", "c"], vocabulary, 2, np.array([3, 4, 5]))
    assert found.tolist() == [[3, 4], [3, 5], [4, 3]]


@pytest.mark.parametrize(("texts", "length"), [(["a b"], 3), (["zebra gnu emu"], 2)])
def test_a_corpus_without_an_ngram_is_refused(texts, length):
    with pytest.raises(InputError):
        ngrams(texts, word_vocabulary(("a", "b")), length, np.array([3, 4]))


def test_sampled_sources():
    assert sampled_count("captions.txt") is None
    assert sampled_count("sampled:20") == 20
    for bad in ("sampled:", "sampled:0", "sampled:-1", "sampled:many"):
        with pytest.raises(InputError):
            sampled_count(bad)
