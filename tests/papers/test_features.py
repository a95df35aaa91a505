import tracemalloc

import numpy as np
import pytest

from optigram.errors import InputError
from optigram.papers.poerner2018.data import Dataset
from optigram.papers.poerner2018.features import Features, Images
from optigram.text.documents import Document


def test_rows_are_gathered_over_several_arrays():
    whole = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)
    features = Features((whole[:7], whole[7:8], whole[8:]))
    rows = np.array([19, 0, 7, 6, 8, 0])
    assert (len(features), features.width) == (20, 3)
    assert np.array_equal(features.gather(rows), whole[rows])


def test_an_array_of_the_papers_size_is_never_copied(tmp_path):
    """1.9 GB with a hole for the zeros, so that it takes no room on the disk either."""
    shape = (113_287, 4096)
    with (tmp_path / "train.npy").open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": shape})
        file.truncate(file.tell() + 4 * shape[0] * shape[1])
    tracemalloc.start()
    features = Features((Features.mapped(tmp_path / "train.npy"),))
    found = features.gather(np.array([0, 50_000, 113_286]))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found.shape == (3, 4096)
    assert most < 1 << 20


def test_a_row_that_is_not_finite_is_named():
    features = np.zeros((6, 2))
    features[4, 1] = np.nan
    assert len(Features((features,)).gather(np.arange(4)))
    with pytest.raises(InputError, match="row 4"):
        Features((features,)).gather(np.arange(6))


def test_an_array_with_a_file_of_row_names(tmp_path):
    array = np.random.default_rng(0).normal(size=(3, 2)).astype(np.float16)
    np.save(tmp_path / "f.npy", array)
    (tmp_path / "names.txt").write_text("b.jpg\na.jpg\r\nc.jpg\n")
    images = Images.read(tmp_path / "f.npy", tmp_path / "names.txt")
    assert images.rows == {"b.jpg": 0, "a.jpg": 1, "c.jpg": 2}
    assert np.array_equal(images.features.gather(np.array([2, 0])), array[[2, 0]].astype(np.float32))


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (None, "give --rows"),
        ("a\nb\n", "got 2 lines and 3 rows"),
        ("a\nb\na\n", "'a' more than once"),
        (b"\xff\xfe", "cannot read"),
    ],
)
def test_bad_row_names_are_refused(tmp_path, names, said):
    np.save(tmp_path / "f.npy", np.ones((3, 2)))
    path = None if names is None else tmp_path / "names.txt"
    if path is not None:
        path.write_bytes(names if isinstance(names, bytes) else names.encode())
    with pytest.raises(InputError, match=said):
        Images.read(tmp_path / "f.npy", path)


def test_packed_labels_are_unpacked(tmp_path):
    bits = np.array([[1, 0, 1], [0, 1, 0]], dtype=np.uint8)
    np.savez(tmp_path / "labels.npz", image_ids=[7, 9], labels_packed=np.packbits(bits, axis=1), categories=["a", "b", "c"])
    images = Images.read(tmp_path / "labels.npz")
    assert images.features.gather(np.arange(2)).tolist() == bits.tolist()
    assert (images.rows, images.labels) == ({"7": 0, "9": 1}, ("a", "b", "c"))


@pytest.mark.parametrize(
    "arrays",
    [
        {"image_ids": [1]},
        {"features": np.eye(2)},
        {"image_ids": [1], "features": np.eye(2)},
        {"image_ids": [1, 2], "features": np.ones(2)},
        {"image_ids": [1, 2], "features": np.array([["a"], ["b"]])},
        {"image_ids": [1, 1], "features": np.eye(2)},
        {"image_ids": np.array([{}]), "features": np.eye(1)},
    ],
)
def test_bad_image_files_are_refused(tmp_path, arrays):
    np.savez(tmp_path / "bad.npz", **arrays)
    with pytest.raises(InputError):
        Images.read(tmp_path / "bad.npz")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut short", b"\x93NUMPY"])
@pytest.mark.parametrize("name", ["bad.npz", "bad.npy"])
def test_torn_image_files_are_refused(tmp_path, content, name):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match="cannot read"):
        Images.read(tmp_path / name)


def test_features_of_other_images_than_the_captions_are_refused(tmp_path):
    np.savez(tmp_path / "f.npz", image_ids=[7, 9], features=np.eye(2))
    with pytest.raises(InputError, match=r"none in common, such as '0007\.jpg' and '7'"):
        Dataset.split([Document(0, "a cat", "0007.jpg")], Images.read(tmp_path / "f.npz"), (0.2, 0.2), 0)
